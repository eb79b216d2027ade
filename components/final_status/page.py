"""What became of a run, in words. Imports nothing heavy, so that it can speak when all else fails."""

from pathlib import Path

from ambidex.base.files import write_text
from components._notes import clear_finished, failures


def show_status(state: str, task: str, error: str, run: str, page: str) -> str:
    """Write to `page` (Markdown), print and return what became of a run.

    `task`: the group of all tasks before. `error`: what Kubeflow knows. What the tasks themselves left on the shared
    volume, where there is one, names the stage and the cell.
    """
    lines = [f"Run {run}: {state.lower()}."]
    if state.upper() == "SUCCEEDED":
        clear_finished()
    else:
        lines += [f"- {name} failed: {message}" for name, message in failures().items()]
        lines += [f"- {task}: {error or 'no message'}"]
        lines += [
            "",
            "Outputs of the tasks that finished are kept; a new run with caching takes them from there.",
        ]
    text = "\n".join(lines)
    write_text(Path(page), text + "\n")
    print(text, flush=True)
    return text
