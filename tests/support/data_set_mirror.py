"""A mirror on this machine: a real server with Fashion-MNIST as the public mirrors have it."""

from __future__ import annotations

import gzip
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from grader.training.idx import FILES

__all__ = ["MirrorFiles", "serving", "upstream"]

MirrorFiles = Mapping[str, bytes]
_WRITTEN = {  # when upstream's files were compressed, which stands in their headers
    "train-images-idx3-ubyte": 1504176606,
    "train-labels-idx1-ubyte": 1504176606,
    "t10k-images-idx3-ubyte": 1504176627,
    "t10k-labels-idx1-ubyte": 1504176627,
}
_HEADER = 10  # bytes, of Debian's


def upstream(packaged: Path) -> dict[str, bytes]:
    """Return upstream's compressed files: Debian's, whose headers lost their name and time (RFC 1952)."""
    files = {}
    for file in FILES:
        start = b"\x1f\x8b\x08\x08" + struct.pack("<I", _WRITTEN[file]) + b"\x00\x03" + file.encode() + b"\x00"
        files[f"{file}.gz"] = start + (packaged / f"{file}.gz").read_bytes()[_HEADER:]
        assert len(gzip.decompress(files[f"{file}.gz"])) > 10_000
    return files


@contextmanager
def serving(
    files: MirrorFiles, *, cut: Callable[[str], int | None] = lambda _: None, asked: list[str] | None = None
) -> Iterator[str]:
    """Serve files on this machine, and give the address.

    Args:
        files: their contents by name; what is not there is answered with 404.
        cut: after how many bytes of a file the line is cut; None for never.
        asked: takes the names that were asked for.
    """

    class Mirror(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            if asked is not None:
                asked.append(name)
            if name not in files:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[name])))
            self.end_headers()
            self.wfile.write(files[name][: cut(name)])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/data"
        finally:
            server.shutdown()
            thread.join()
