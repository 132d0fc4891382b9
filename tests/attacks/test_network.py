"""Reaching out: services of this machine, other submissions, the world."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from tests.support.attacks import Attack
from tests.support.hostile_cells import REACHED, raised

_NOTHING = "RuntimeError: LOOT []"


def test_no_service_of_the_host_answers_on_tcp_or_udp(attack: Attack) -> None:
    cell = """
        import socket
        def dial(family, kind, address):
            def attempt():
                with socket.socket(family, kind) as line:
                    line.settimeout(1)
                    line.connect(address)
                    return address
            return attempt
        ports = (6379, 5432, 5672, 22, 53, 80)
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)
        reached(*(dial(socket.AF_INET, kind, ("127.0.0.1", port)) for port in ports for kind in kinds),
                *(dial(socket.AF_INET6, kind, ("::1", port)) for port in ports for kind in kinds),
                dial(socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 443)))
    """
    with socket.create_server(("127.0.0.1", 0)):
        report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


def test_names_are_not_resolved_and_nothing_is_downloaded(attack: Attack) -> None:
    cell = """
        import socket, urllib.request
        reached(lambda: socket.getaddrinfo("example.com", 80),
                lambda: urllib.request.urlopen("http://127.0.0.1:6379", timeout=1).read())
    """
    assert raised(attack(REACHED, cell).cells[1]) == _NOTHING


def test_no_other_kind_of_socket_can_be_made(attack: Attack) -> None:
    cell = """
        import socket
        families = ("AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH", "AF_CAN", "AF_TIPC", "AF_RDS")
        def make(family):
            return lambda: (family, socket.socket(getattr(socket, family), socket.SOCK_RAW).close())
        def make_number(family, kind):
            return lambda: (family, socket.socket(family, kind).close())
        reached(*(make(family) for family in families if hasattr(socket, family)),
                *(make_number(family, kind) for family in range(2, 46) for kind in (1, 2, 3, 5)))
    """
    assert raised(attack(REACHED, cell).cells[1]) == _NOTHING


def test_sockets_in_the_hosts_folders_and_abstract_ones_are_out_of_reach(attack: Attack) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        Path(folder).chmod(0o755)
        path = f"{folder}/kernel"
        named.bind(path)
        Path(path).chmod(0o777)
        abstract.bind("\0outside-the-sandbox")
        for listener in (named, abstract):
            listener.listen()
        cell = f"""
            import socket
            def dial(address):
                def attempt():
                    with socket.socket(socket.AF_UNIX) as line:
                        line.settimeout(1)
                        line.connect(address)
                        return address
                return attempt
            services = ["/run/redis/redis-server.sock", "/var/run/redis.sock", "/tmp/redis.sock",
                        "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/notify",
                        "/run/postgresql/.s.PGSQL.5432"]
            reached(*map(dial, [{path!r}, chr(0) + "outside-the-sandbox", *services]))
        """
        report = attack(REACHED, cell)
    assert raised(report.cells[1]) == _NOTHING
    assert report.score == 0


def test_the_list_of_the_hosts_connections_is_empty(attack: Attack) -> None:
    report = attack(
        """
        lines = [line.split()[1] for name in ("tcp", "tcp6", "udp") for line in open(f"/proc/net/{name}")]
        raise RuntimeError(f"LOOT {[line for line in lines if ':' in line]}")
        """
    )
    assert raised(report.cells[0]) in (_NOTHING, "PermissionError: [Errno 13] Permission denied: '/proc/net/tcp'")
