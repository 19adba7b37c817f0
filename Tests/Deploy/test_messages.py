"""Tests the messages of the programs for operators, and the pages that explain them."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "Sources"


def page(name):
    return (ROOT / "docs" / name).read_text()


def arguments(text, start):
    """The text of a call's arguments; `start` is the position after the opening parenthesis."""
    depth = 1
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    raise AssertionError("a call without an end")


def literals(text):
    """The string literals in a Swift text, with … for interpolated values."""
    for found in re.finditer(r'"""\n(.*?)"""|"((?:[^"\\]|\\.)*)"', text, re.DOTALL):
        lines = found.group(1)
        if lines is None:
            literal = found.group(2)
        else:
            literal = " ".join(re.sub(r"\\\n\s*", "", lines).split())
        yield re.sub(r"\\\([^)]*\)", "…", literal)


def messages():
    """The log messages with level warning or higher, with their files."""
    for path in sorted(SOURCES.rglob("*.swift")):
        text = path.read_text()
        for call in re.finditer(r"\blogger\.(?:warning|error|critical)\(", text):
            message = re.split(r"\bmetadata:", arguments(text, call.end()))[0]
            for literal in literals(message):
                # A message from elsewhere has no literal text.
                if literal.strip("… "):
                    yield path.name, literal


def error_classes():
    """The error classes of events that cannot be decoded or applied."""
    decoding = (SOURCES / "Events/EventDecodeError.swift").read_text()
    yield from re.findall(r'^\s+case \w+ = "(\w+)"$', decoding, re.MULTILINE)
    for path in SOURCES.rglob("*.swift"):
        text = path.read_text()
        yield from re.findall(r'\bEventFailure\(\s*"([^"\\]+)"', text)
        if "SQLProjections" in path.parts:
            yield from re.findall(r'\bfailure\("([^"\\]+)"', text)
            yield from re.findall(r'\("(sequence_\w+)"', text)
    for name in ["blockedClass", "unknownClass"]:
        yield re.search(rf'{name} = "(\w+)"', (SOURCES / "Letters/LetterText.swift").read_text()).group(1)


class Messages(unittest.TestCase):
    def test_every_message_is_explained(self):
        explained = set(re.findall(r"`([^`]+)`", page("operations.md").split("\n## Messages\n")[1]))
        found = list(messages())
        self.assertGreater(len(found), 50)
        for file, message in found:
            with self.subTest(file=file):
                self.assertIn(message, explained, "docs/operations.md, Messages")

    def test_every_explained_message_is_one(self):
        """If a message is changed or removed, it must also be changed or removed on the page."""
        told = " ".join(" ".join(literals(path.read_text())) for path in SOURCES.rglob("*.swift"))
        rows = re.findall(r"^\| (`.+?`) \|", page("operations.md").split("\n## Messages\n")[1], re.MULTILINE)
        self.assertGreater(len(rows), 50)
        for row in rows:
            for message in re.findall(r"`([^`]+)`", row):
                for part in message.split("…"):
                    self.assertIn(part.strip(), told, message)

    def test_every_class_of_a_failed_event_is_explained(self):
        text = page("dead-letters.md").split("\n## Error classes\n")[1].split("\n## ")[0]
        classes = set(error_classes())
        self.assertGreater(len(classes), 12)
        for name in classes:
            self.assertRegex(name, r"^[a-z][a-z0-9_]+$", "metrics and alerts group by it")
            self.assertIn(f"`{name}`", text, "docs/dead-letters.md, Error classes")

    def test_links_between_pages_have_a_target(self):
        anchors = {}
        for path in sorted((ROOT / "docs").glob("*.md")):
            # A comment in a shell example begins like a heading.
            text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
            anchors[path.name] = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                                  for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        for name in anchors:
            for file, anchor in re.findall(r"\]\(([\w\-]+\.md)?#([\w\-]+)\)", page(name)):
                self.assertIn(anchor, anchors[file or name], f"docs/{name} links to {file}#{anchor}")


if __name__ == "__main__":
    unittest.main()
