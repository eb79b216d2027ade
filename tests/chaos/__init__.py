"""Kills and races against every stage, with real processes: `PYTHONPATH=src:tests python -m chaos.run`."""
