# SPDX-License-Identifier: MIT
"""The package of another Debian release, built in a root of that release that has the build's packages; prints its path.
usage: deb_build.py SUITE PACKAGE|ALTERNATIVE..."""
import shutil
import sys

from roots import KEPT, ROOT, base, call, copy, inside, need_root, say, with_proc


def chosen(root, spec):
    """The first alternative that this release has."""
    for name in spec.split("|"):
        if any(line.startswith("  Candidate: ") and "(none)" not in line for line in inside(root, "apt-cache", "policy", name).splitlines()):
            return name
    raise AssertionError(f"apt of {root.name} knows no {spec}")


def build_root(suite, specs):
    """Kept as the bare ones are; new needs of the build are added."""
    root = KEPT / f"{suite}-build"
    if not root.is_dir():
        base(suite)
        making = KEPT / f"{suite}-build.new"
        shutil.rmtree(making, ignore_errors=True)
        copy(suite, making)
        inside(making, "apt-get", "update", "-q")
        making.rename(root)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    inside(root, "apt-get", "install", "-q", "-y", "--no-install-recommends", *(chosen(root, spec) for spec in specs))
    return root


def build(root):
    """The tree as it stands here, without its build."""
    source = root / "src"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    call("sh", "-c", f"tar -C '{ROOT}' --exclude=./build --exclude=./.git -c . | tar -C '{source}' -x")
    with with_proc(root):
        for step in ("cmake --preset release --log-level=WARNING -DFLK_TESTS=OFF", "ninja -C build programs package-files", "cd build && cpack -G DEB"):
            inside(root, "sh", "-ec", f"cd /src && {step}", timeout=3000)
    package, = source.glob("build/flk_*.deb")
    return shutil.copy(package, ROOT / "build")


def main():
    suite, *specs = sys.argv[1:]
    need_root("deb")
    root = build_root(suite, specs)
    say(f"building in a root of {suite}")
    print(build(root))


main()
