"""A server that answers every request with bytes of the test's choosing: slowly, without end, or malformed."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[Callable[[bytes], None], threading.Event], None]


def reply(body: bytes, status: str = "200 OK") -> Answer:
    """A well-formed reply with this body."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    return lambda send, stop: send(head + body)


def slowly(data: bytes, pause: float) -> Answer:
    """These bytes one by one, then nothing more, while the connection stays."""

    def answer(send: Callable[[bytes], None], stop: threading.Event) -> None:
        for number in range(len(data)):
            send(data[number : number + 1])
            if stop.wait(pause):
                return
        stop.wait()

    return answer


def without_end(head: bytes, chunk: bytes) -> Answer:
    """`head`, then `chunk` again and again."""

    def answer(send: Callable[[bytes], None], stop: threading.Event) -> None:
        send(head)
        while not stop.is_set():
            send(chunk)

    return answer


@contextmanager
def raw_server(answer: Answer) -> Iterator[str]:
    """Its address, http://127.0.0.1:PORT."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                with suppress(TimeoutError, OSError):
                    connection, _ = listener.accept()
                    threading.Thread(target=_serve_one, args=(connection, answer, stop), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join(5)


def _serve_one(connection: socket.socket, answer: Answer, stop: threading.Event) -> None:
    with connection, suppress(OSError):
        connection.settimeout(5)
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        answer(connection.sendall, stop)
        time.sleep(0.05)
