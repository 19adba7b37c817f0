"""Tests requests to a server whose name is resolved by a name server that does not answer."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / ".build/debug")).resolve()

# The C library asks the name server for a minute. `millrace load` waits 5 seconds for a connection.
RESOLVER = "nameserver 127.0.0.1\noptions timeout:30 attempts:2\n"
LIMIT_S = 30

# Runs a command in a network that has only this name server, and prints how long it took. 0x8914 is SIOCSIFFLAGS.
INSIDE = """
import fcntl, socket, struct, subprocess, sys, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(server, 0x8914, struct.pack("16sh14x", b"lo", 1))
server.bind(("127.0.0.1", 53))
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
start = time.monotonic()
done = subprocess.run(sys.argv[2:], capture_output=True, text=True)
print(time.monotonic() - start)
print(done.stderr)
"""


NAMESPACES = ["unshare", "--net", "--mount"]


class SilentNameServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True)
        if done.returncode != 0:
            raise unittest.SkipTest(f"cannot create namespaces: {done.stderr.strip()}")

    def test_a_request_ends_within_its_timeout(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolver:
            resolver.write(RESOLVER)
            resolver.flush()
            command = [BIN / "millrace", "load", "--via", "http", "--url", "http://nowhere.example/", "--orders", "1"]
            done = subprocess.run([*NAMESPACES, sys.executable, "-c", INSIDE, resolver.name, *command],
                                  capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        seconds, _, errors = done.stdout.partition("\n")
        self.assertIn("does not answer: no answer within the timeout", errors)
        self.assertLess(float(seconds), LIMIT_S)


if __name__ == "__main__":
    unittest.main()
