"""Tests the Debian package on a minimal Debian 12. MILLRACE_DEB names the package."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from supervisor import DAEMONS, ROOT

PACKAGE = pathlib.Path(os.environ["MILLRACE_DEB"]).resolve()


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="millrace-debian-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        subprocess.run(["tar", "-C", cls.root, "-xf", ROOT / ".build/debian-12.tar"], check=True)
        shutil.copy(PACKAGE, cls.root / "millrace.deb")
        shutil.copy("/etc/resolv.conf", cls.root / "etc/resolv.conf")
        cls.inside("apt-get", "update")
        done = cls.inside("apt-get", "install", "--yes", "--no-install-recommends", "/millrace.deb")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    @classmethod
    def inside(cls, *command):
        """Runs a command in the Debian with its own /proc, from which Swift programs read their arguments."""
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={cls.root}/proc", "chroot", cls.root,
             "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *command],
            capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def test_the_programs_run(self):
        version = re.match(r"millrace_([^_]+)_", PACKAGE.name).group(1)
        for program in [*DAEMONS, "millrace"]:
            done = self.inside(program, "--version")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, version + "\n", ""), program)

    def test_the_configuration_that_comes_along_is_valid(self):
        for daemon in DAEMONS:
            done = self.inside(daemon, "--config", f"/etc/millrace/main/{daemon}.toml", "--check")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "the configuration is valid\n", ""), daemon)
        mistake = self.root / "etc/millrace/main/conf.d/99-mistake.toml"
        mistake.write_text("[kafka]\nbootstrap_server = 1\n")
        self.addCleanup(mistake.unlink)
        done = self.inside("outbox-relay", "--config", "/etc/millrace/main/outbox-relay.toml", "--check")
        self.assertEqual(done.returncode, 78)
        self.assertIn("did you mean \"bootstrap_servers\"?", done.stderr)

    def test_units_find_their_programs(self):
        shutil.copytree("/lib/systemd/system", self.root / "usr/lib/systemd/system", symlinks=True, dirs_exist_ok=True)
        units = [f"millrace-{name}@main.service" for name in DAEMONS]
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={self.root}", *units],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_manuals_and_completions(self):
        for program in [*DAEMONS, "millrace"]:
            manual = subprocess.run(["zcat", self.root / f"usr/share/man/man1/{program}.1.gz"],
                                    capture_output=True, text=True, check=True).stdout
            self.assertRegex(manual, rf"(?im)^\.Dt {program} 1$")
            for file in [f"bash-completion/completions/{program}", f"zsh/vendor-completions/_{program}",
                         f"fish/vendor_completions.d/{program}.fish"]:
                self.assertIn(program, (self.root / "usr/share" / file).read_text())
        for program in [*DAEMONS, "millrace"]:
            script = self.root / f"usr/share/bash-completion/completions/{program}"
            self.assertEqual(subprocess.run(["bash", "-n", script]).returncode, 0)

    def test_the_package_is_whole(self):
        self.assertEqual(self.inside("dpkg", "--verify", "millrace").stdout, "")
        settings = self.inside("dpkg-query", "--show", "--showformat=${Conffiles}", "millrace").stdout
        self.assertEqual(len(re.findall(r"^ /etc/millrace/main/", settings, re.MULTILINE)), len(DAEMONS) + 1)

    def test_what_is_purged_is_gone(self):
        other = self.root / "etc/millrace/other/outbox-relay.toml"
        other.parent.mkdir()
        self.addCleanup(shutil.rmtree, other.parent)
        other.write_text("")
        try:
            self.assertEqual(self.inside("apt-get", "purge", "--yes", "millrace").returncode, 0)
            self.assertFalse((self.root / "etc/millrace/main").exists())
            self.assertFalse((self.root / "usr/lib/millrace").exists())
            self.assertTrue(other.exists(), "the instances of the operator stay")
            self.assertFalse((self.root / "usr/bin/outbox-relay").exists())
        finally:
            self.inside("apt-get", "install", "--yes", "--no-install-recommends", "/millrace.deb")


if __name__ == "__main__":
    unittest.main()
