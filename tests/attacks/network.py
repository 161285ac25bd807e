"""Network: loopback TCP and UDP, Unix and abstract sockets, netlink, and sockets of odd kinds."""

from attacks.attack import SHORT, STOPPED, Attack, hostile

_SEND = """
import socket
def send(family, kind, address, protocol=0):
    with socket.socket(family, kind, protocol) as s:
        s.settimeout(1)
        s.connect(address)
        s.send(b"hello")
"""
_OPENS = """
import socket
def opened(*kind):
    socket.socket(*kind).close()
    t.breach(f"a socket of {kind}")
"""

ATTACKS: list[Attack] = [
    hostile("TCP", "to send what it sees", f"{_SEND}\nt.each(lambda: send(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', t.TCP4)))", quick=True),
    hostile("TCP at import", "to send what it sees", at_import=f"{_SEND}\nt.each(lambda: send(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', t.TCP4)))"),
    hostile("TCP over IPv6", "to send what it sees", f"{_SEND}\nt.each(lambda: send(socket.AF_INET6, socket.SOCK_STREAM, ('::1', t.TCP6)))"),
    hostile("TCP with data in its first packet", "to get past rules on `connect`", """
        import socket
        t.each(lambda: socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", t.TCP4)) and None)
        """),
    hostile("multipath TCP", "to get past rules on TCP", f"{_SEND}\nt.each(lambda: send(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', t.TCP4), 262))"),
    hostile("SCTP and SMC", "to get past rules on TCP", f"""
        {_SEND.strip().replace(chr(10), chr(10) + '        ')}
        t.each(lambda: send(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', t.TCP4), 132), lambda: send(43, socket.SOCK_STREAM, ('127.0.0.1', t.TCP4)))
        """),
    hostile("UDP", "to get past rules on TCP", f"{_SEND}\nt.each(lambda: send(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', t.UDP)))", quick=True),
    hostile("UDP without connect", "to get past rules on `connect`", """
        import socket
        t.each(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", t.UDP)) and None)
        """),
    hostile("a Unix socket", "to reach a service of the machine", f"{_SEND}\nt.each(lambda: send(socket.AF_UNIX, socket.SOCK_STREAM, t.UNIX), lambda: send(socket.AF_UNIX, socket.SOCK_DGRAM, t.UNIX + 'd'))", quick=True),
    hostile("an abstract socket", "to reach a service of the machine", f"{_SEND}\nt.each(lambda: send(socket.AF_UNIX, socket.SOCK_STREAM, chr(0) + t.ABSTRACT), lambda: send(socket.AF_UNIX, socket.SOCK_DGRAM, chr(0) + t.ABSTRACT + 'd'))"),
    hostile("one half of a pair, sent elsewhere", "to reach a service by a socket that it may have", """
        import socket
        def go():
            one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            one.sendto(b"x", t.UNIX + "d")
        def abstract():
            one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            one.connect(chr(0) + t.ABSTRACT + "d"); one.send(b"x")
        t.each(go, abstract)
        """),
    hostile("the channel, connected elsewhere", "to reach a service by the channel", """
        import socket, stat, os
        for fd in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(fd).st_mode):
                    other = socket.socket(fileno=os.dup(fd))
                    t.each(lambda: other.connect(t.UNIX), lambda: other.connect(chr(0) + t.ABSTRACT), lambda: other.sendto(b"", t.UNIX) and None)
            except OSError:
                pass
        """, outcome=STOPPED),
    hostile("a server", "to be reached from elsewhere", """
        import socket
        def serve(family, address):
            s = socket.socket(family)
            s.bind(address); s.listen()
            globals().setdefault("kept", []).append(s)
            t.breach(f"listens on {address}")
        t.each(lambda: serve(socket.AF_INET, ("0.0.0.0", 0)), lambda: serve(socket.AF_UNIX, chr(0) + t.MARK), lambda: serve(socket.AF_UNIX, t.FOLDER + "/" + t.MARK))
        """, quick=True),
    hostile("a UDP server", "to be reached from elsewhere", """
        import socket
        def serve():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))
            t.breach("UDP is bound")
        t.each(serve)
        """),
    hostile("netlink", "to see and change the network", f"{_OPENS}\nt.each(*[lambda p=p: opened(16, 3, p) for p in range(0, 22)])"),
    hostile("raw packets", "to see others' packets", f"{_OPENS}\nt.each(lambda: opened(17, 3, 0x300), lambda: opened(2, 3, 255), lambda: opened(2, 3, 1), lambda: opened(2, 2, 1))"),
    hostile("the kernel's ciphers", "to reach code of the kernel that few use", f"{_OPENS}\nt.each(lambda: opened(38, 5, 0))"),
    hostile("virtual machines' sockets", "to reach the machine's host", f"{_OPENS}\nt.each(lambda: opened(40, 1, 0))"),
    hostile("every family of sockets", "to find one that was forgotten", f"{_OPENS}\nt.each(*[lambda f=f, k=k: opened(f, k) for f in range(2, 46) for k in (1, 2, 3, 5)])"),
    hostile("a page by HTTP", "to send what it sees", "import urllib.request\nt.each(lambda: urllib.request.urlopen(f'http://127.0.0.1:{t.TCP4}/', timeout=1).read())"),
    hostile("a name", "to send what it sees in a question to the name server", "import socket\nt.each(lambda: socket.getaddrinfo('x.invalid', 80) and None)", outcome=STOPPED),
    hostile("torch's own network", "to get out by C++", """
        import torch.distributed as d
        from datetime import timedelta
        t.each(lambda: d.TCPStore("127.0.0.1", t.TCP4, is_master=False, timeout=timedelta(seconds=1)) and None,
               lambda: t.breach("a store is served") if d.TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=1), wait_for_workers=False) else None)
        """, outcome=STOPPED, limits=SHORT),
    hostile("machine code that connects", "to get past Python", """
        import ctypes, struct
        def go():
            fd = t.syscall("socket", 2, 1, 0)
            address = struct.pack("<H", 2) + struct.pack(">H", t.TCP4) + bytes([127, 0, 0, 1]) + bytes(8)
            t.syscall(42, fd, address, 16)
        t.each(go)
        """, outcome=STOPPED),
]  # fmt: skip
