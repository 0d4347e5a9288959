"""
Reads XML from strangers: no document type, no entity, no processing instruction, no comment inside a value.

Parses with expat as a stream: elements are handed over one by one with the line where they start, and are then
forgotten, so that memory does not grow with the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from xml.parsers import expat

from formats.bank_text import UTF8_BOM, canonical, forbidden_position, refuse_oversized
from formats.rejections import InputRejected

DEPTH_MAX: Final = 32
VALUE_LENGTH_MAX: Final = 65_536
#: Elements that are kept at one time, about 200 MB of them. What a taker took is not kept any more and does not count.
ELEMENTS_MAX: Final = 1_000_000

_XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
_UTF8: Final = frozenset({"UTF-8", "UTF8"})
_INSTRUCTION: Final = re.compile(rb"<\?(?!xml[ \t\r\n])")


class Node:
    """
    An element: its name without namespace, its line, its text as it stands, its attributes and children.
    """

    __slots__ = ("attributes", "children", "commented", "kept_before", "line", "name", "text")

    def __init__(self, name: str, line: int, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.line = line
        self.attributes = attributes
        self.text = ""
        self.children: list[Node] = []
        self.commented = False
        self.kept_before = 0

    def all(self, name: str) -> list[Node]:
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Node | None:
        """
        Return the child of that name, or None. Raises InputRejected XML when it stands there twice.
        """
        found = None
        for child in self.children:
            if child.name == name:
                if found is not None:
                    raise InputRejected("XML", "this element may stand here only once", line=child.line, field=name)
                found = child
        return found

    def need(self, name: str) -> Node:
        """
        Return the child of that name. Raises InputRejected FIELD when it is missing.
        """
        found = self.one(name)
        if found is None:
            raise InputRejected("FIELD", f"it has no {name}", line=self.line, field=self.name)
        return found

    def at(self, *path: str) -> Node | None:
        node: Node | None = self
        for name in path:
            node = node.one(name) if node is not None else None
        return node

    def value(self) -> str:
        """
        Return the canonical text of an element that has no children. Raises InputRejected XML, TEXT.
        """
        if self.children:
            raise InputRejected("XML", "a value holds no elements", line=self.line, field=self.name)
        if not self.text.isascii() and forbidden_position(self.text) is not None:
            raise InputRejected("TEXT", "it holds a control character", line=self.line, field=self.name)
        return canonical(self.text)

    def value_at(self, *path: str) -> str:
        node = self.at(*path)
        return node.value() if node is not None else ""


#: Gets an element when it ends, and its parent with what came before it; the element is not kept.
Taker = Callable[[Node, Node], None]


def read_xml(
    content: bytes,
    *,
    namespaces: Collection[str],
    takers: Mapping[tuple[int, str], Taker],
    open_elements: Collection[str],
) -> Node:
    """
    Read a document in UTF-8 whose root stands in one of `namespaces`; give elements to `takers` by depth and name.

    Below `open_elements` any namespace may stand, and is not read. Returns the root without what was taken. Raises
    InputRejected, and nothing else that is not raised by a taker.
    """
    refuse_oversized(content)
    content = content.removeprefix(UTF8_BOM)
    _refuse_before_parsing(content)
    builder = _Builder(namespaces, takers, open_elements)
    try:
        builder.parser.Parse(content, True)
    except expat.ExpatError as error:
        problem = f"this is no well-formed XML ({expat.ErrorString(error.code)})"
        raise InputRejected("XML", problem, line=error.lineno) from None
    return builder.root


def _refuse_before_parsing(content: bytes) -> None:
    for position in (content.find(b"<!DOCTYPE"), content.find(b"<!ENTITY")):
        if position >= 0:
            raise InputRejected("DTD", "it holds a document type", line=content.count(b"\n", 0, position) + 1)
    instruction = _INSTRUCTION.search(content)
    if instruction:
        line = content.count(b"\n", 0, instruction.start()) + 1
        raise InputRejected("DTD", "it holds a processing instruction", line=line)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputRejected("ENCODING", "it is not UTF-8", line=line) from None


class _Builder:
    """
    Builds nodes from what expat sees, refusing on the way.
    """

    def __init__(
        self, namespaces: Collection[str], takers: Mapping[tuple[int, str], Taker], open_elements: Collection[str]
    ) -> None:
        self.root = Node("", 0, {})
        self.path: list[Node] = [self.root]
        self.depth = 0
        self.kept = 0
        self.namespaces = namespaces
        self.namespace = ""
        self.takers = takers
        self.taken_names = frozenset(name for _, name in takers)
        self.open_elements = open_elements
        self.open_depth = 0
        self.names: dict[str, str] = {}
        self.parser = expat.ParserCreate("UTF-8", " ")
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.CommentHandler = self._comment
        self.parser.StartCdataSectionHandler = self._cdata
        self.parser.StartDoctypeDeclHandler = self._refused
        self.parser.EntityDeclHandler = self._refused
        self.parser.ProcessingInstructionHandler = self._refused

    def _rejected(self, code: str, problem: str, field: str = "") -> InputRejected:
        return InputRejected(code, problem, line=self.parser.CurrentLineNumber, field=field)

    def _refused(self, *_: object) -> None:
        raise self._rejected("DTD", "it holds a document type or a processing instruction")

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.upper() not in _UTF8:
            raise self._rejected("ENCODING", "it declares another encoding than UTF-8")

    def _cdata(self) -> None:
        raise self._rejected("MIXED", "it holds a CDATA section", self.path[-1].name)

    def _comment(self, text: str) -> None:
        self.path[-1].commented = True

    def _characters(self, text: str) -> None:
        node = self.path[-1]
        if self.open_depth or (not node.text and text.isspace()):
            return
        node.text += text
        if len(node.text) > VALUE_LENGTH_MAX:
            raise self._rejected("LIMIT", "a value is longer than 64 KiB", node.name)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self._rejected("LIMIT", f"elements stand more than {DEPTH_MAX} deep")
        node = Node(self.names.get(name) or self._local_name(name), self.parser.CurrentLineNumber, attributes)
        node.kept_before = self.kept
        if not self.open_depth and node.name in self.open_elements:
            self.open_depth = self.depth
        self.path.append(node)

    def _local_name(self, name: str) -> str:
        namespace, _, local = name.rpartition(" ")
        if namespace == _XINCLUDE:
            raise self._rejected("DTD", "it includes another document")
        if self.open_depth:
            return local
        if not self.namespace:
            if namespace not in self.namespaces:
                code = "VERSION" if namespace.rpartition(".001.")[0] in self._families() else "NAMESPACE"
                raise self._rejected(code, "this kind of message, or this version of it, is not read", "namespace")
            self.namespace = namespace
        if namespace != self.namespace:
            raise self._rejected("NAMESPACE", "it holds an element of another namespace")
        self.names[name] = local
        return local

    def _families(self) -> set[str]:
        return {namespace.rpartition(".001.")[0] for namespace in self.namespaces}

    def _end(self, name: str) -> None:
        node = self.path.pop()
        depth, self.depth = self.depth, self.depth - 1
        if self.open_depth:
            if depth == self.open_depth:
                self.open_depth = 0
            return
        if node.text and (node.children or node.commented):
            raise self._rejected("MIXED", "a comment or an element stands inside a value", node.name)
        if node.name in self.taken_names:
            taker = self.takers.get((depth, node.name))
            if taker is not None:
                taker(node, self.path[-1])
                self.kept = node.kept_before
                return
        self.kept += 1
        if self.kept > ELEMENTS_MAX:
            raise self._rejected("LIMIT", f"it holds more than {ELEMENTS_MAX} elements in one place")
        self.path[-1].children.append(node)
