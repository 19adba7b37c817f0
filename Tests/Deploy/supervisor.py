"""A private systemd for a test: the machine's systemd as process 1 of new namespaces, with only the staged units."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / ".build/debug")).resolve()
DAEMONS = ["outbox-relay", "order-summary-projection", "dashboard-projection", "sql-projection", "dead-letter-handler",
           "command-service", "order-process", "query-service"]
DEADLINE_S = 120

# Process 1. Its mounts are not visible outside. /usr/bin and /etc get additional layers with the programs and with the
# files that the units name.
BOOT = r"""
set -eu
stage=$1 bin=$2 programs=$3 cgroup=$4
echo 0 >"$cgroup/cgroup.procs"
export stage bin programs
exec unshare --cgroup bash -c '
set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -t tmpfs tmpfs "$stage/layers"
for folder in bin etc; do mkdir -p "$stage/layers/$folder/upper" "$stage/layers/$folder/work"; done
cp -r "$stage/etc/." "$stage/layers/etc/upper/"
for program in $programs; do touch "$stage/layers/bin/upper/$program"; done
mount -t overlay -o "lowerdir=/etc,upperdir=$stage/layers/etc/upper,workdir=$stage/layers/etc/work" overlay /etc
mount -t overlay -o "lowerdir=/usr/bin,upperdir=$stage/layers/bin/upper,workdir=$stage/layers/bin/work" overlay /usr/bin
for program in $programs; do mount --bind "$bin/$program" "/usr/bin/$program"; done
# Mounts that systemd makes for a unit propagate to the namespaces of other units, as on a complete system.
mount --make-rshared /
python3 -c "
import fcntl, socket, struct
lo = struct.pack(\"16sh14x\", b\"lo\", 1)
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, lo)
"
exec env -i PATH=/usr/sbin:/usr/bin container=unshare SYSTEMD_UNIT_PATH="$stage/units" \
    /lib/systemd/systemd --system --unit=idle.target --log-target=console --show-status=no
'
"""


# A short check of everything that the boot needs from the machine.
PROBE = r"""
set -eu
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc
"""


def cgroups():
    """The folder in which systemd creates its cgroups."""
    hierarchy = pathlib.Path("/sys/fs/cgroup/systemd")
    return hierarchy if hierarchy.is_dir() else hierarchy.parent


def why_it_cannot_boot():
    """The reason why this machine cannot boot a private systemd; None if it can."""
    done = subprocess.run(["unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child",
                           "bash", "-c", PROBE], capture_output=True, text=True)
    if done.returncode != 0:
        return f"cannot create namespaces: {done.stderr.strip()}"
    group = cgroups() / f"millrace-probe-{os.getpid()}"
    try:
        group.mkdir()
        group.rmdir()
    except OSError as error:
        return f"cannot create a cgroup: {error}"
    return None


class Supervisor:
    """Boots on entry. On exit it kills process 1, and with it all processes of the namespaces."""

    def __init__(self, drop_ins=None):
        self.stage = pathlib.Path(tempfile.mkdtemp(prefix="millrace-systemd-"))
        self.stage.chmod(0o755)
        for folder in ["units", "layers", "log", "etc/millrace/main", "etc/credstore"]:
            (self.stage / folder).mkdir(parents=True)
        (self.stage / "etc/credstore").chmod(0o700)
        units = self.stage / "units"
        shutil.copytree(ROOT / "systemd", units, dirs_exist_ok=True)
        # No other part of a system exists, so these units must not wait for one.
        for unit in ["idle.target", "network-online.target", "sysinit.target", "basic.target", "shutdown.target"]:
            (units / unit).write_text("[Unit]\nDefaultDependencies=no\n")
        log = self.stage / "log"
        (units / "millrace-@.service.d/90-test.conf").write_text(
            f"[Service]\nStandardError=append:{log}/%p.log\n" + "".join(f"{line}\n" for line in drop_ins or []))
        for name in DAEMONS:
            self.configure(name, "")

    def configure(self, daemon, text, postgres='url = "postgresql://millrace@127.0.0.1:9/none"'):
        """Writes the configuration of a daemon whose servers are not available. It takes effect at the boot."""
        (self.stage / f"etc/millrace/main/{daemon}.toml").write_text(
            f'[kafka]\nbootstrap_servers = "127.0.0.1:9"\n[postgres]\n{postgres}\n{text}')

    def secret(self, name, text):
        path = self.stage / "etc/credstore" / name
        path.write_text(text)
        path.chmod(0o600)

    def dbus(self):
        """Adds the system bus, which `systemd-run` needs to wait for its command."""
        units = self.stage / "units"
        (units / "dbus.socket").write_text("[Unit]\nDefaultDependencies=no\n"
                                           "[Socket]\nListenStream=/run/dbus/system_bus_socket\n")
        (units / "dbus.service").write_text(
            "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\n"
            "ExecStart=@/usr/bin/dbus-daemon @dbus-daemon --system --address=systemd: --nofork --nopidfile "
            "--systemd-activation --syslog-only\n")

    def log(self, daemon):
        path = self.stage / f"log/millrace-{daemon}.log"
        return path.read_text() if path.exists() else ""

    def __enter__(self):
        self.cgroup = cgroups() / self.stage.name
        self.cgroup.mkdir()
        self.output = open(self.stage / "log/systemd.log", "w")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child", "bash", "-c", BOOT, "boot",
             self.stage, BIN, " ".join([*DAEMONS, "millrace"]), self.cgroup],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        self.until("systemd answers", lambda: self.run("systemctl", "is-system-running").stdout.strip() in
                   ["running", "degraded"])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.output.close()
        # The processes of the namespace end shortly after process 1.
        groups = sorted(self.cgroup.rglob("*/"), reverse=True) + [self.cgroup]
        self.until("cgroups are empty", lambda: all(self.removed(group) for group in groups if group.is_dir()))
        shutil.rmtree(self.stage)

    @staticmethod
    def removed(group):
        try:
            group.rmdir()
            return True
        except OSError:
            return False

    def until(self, what, condition):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {DEADLINE_S} s: {what}\n"
                                     + (self.stage / "log/systemd.log").read_text()[-4000:])
            time.sleep(0.05)

    def run(self, *command):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            init = children.read_text().split()[0]
        except (OSError, IndexError):
            if self.process.poll() is not None:
                raise AssertionError((self.stage / "log/systemd.log").read_text())
            return subprocess.CompletedProcess(command, 1, "", "not booted")
        return subprocess.run(["nsenter", "-t", init, "--mount", "--pid", "--net", *command],
                              capture_output=True, text=True)

    def systemctl(self, *arguments):
        done = self.run("systemctl", "--no-pager", *arguments)
        if done.returncode != 0:
            logs = [path.read_text()[-4000:] for path in sorted((self.stage / "log").iterdir())]
            raise AssertionError(f"systemctl {arguments}: {done.stderr}\n" + "\n".join(logs))
        return done.stdout

    def show(self, unit, name):
        return self.systemctl("show", "--value", "--property", name, unit).strip()

    def get(self, port, path):
        """Returns a daemon's answer over HTTP, from within the namespaces."""
        script = ("import sys, urllib.request as r; "
                  "print(r.urlopen(f'http://127.0.0.1:{sys.argv[1]}{sys.argv[2]}').read().decode())")
        return self.run("python3", "-c", script, str(port), path).stdout


class Database:
    """A PostgreSQL in the namespaces of a supervisor."""

    PORT = 5499
    URL = f"postgresql://postgres@127.0.0.1:{PORT}/postgres"

    def __init__(self, supervisor):
        self.supervisor = supervisor
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.data = supervisor.stage / "postgres"

    def user(self, *command):
        done = self.supervisor.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")

    def __enter__(self):
        self.data.mkdir()
        shutil.chown(self.data, "postgres", "postgres")
        cluster, log = str(self.data / "cluster"), str(self.data / "log")
        self.user(self.bin / "initdb", "--auth=trust", "--no-sync", cluster)
        options = f"-p {self.PORT} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self.user(self.bin / "pg_ctl", "start", "--wait", "-D", cluster, "-l", log, "-o", options)
        return self

    def __exit__(self, *_):
        self.user(self.bin / "pg_ctl", "stop", "-m", "immediate", "-D", str(self.data / "cluster"))

    def migrate(self, *sets):
        arguments = [word for name in sets for word in ("--set", name)]
        self.user(BIN / "millrace", "migrate", "up", "--database", self.URL, *arguments)

    def execute(self, statement):
        self.user(self.bin / "psql", "-q", "-d", self.URL, "-c", statement)
