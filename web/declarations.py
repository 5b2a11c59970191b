"""TypeScript declarations of the wire: `python -m web.declarations` writes `web/static/protocol.d.ts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from web.protocol import CLIENT_MESSAGE, SERVER_MESSAGE

PATH = Path(__file__).parent / "static" / "protocol.d.ts"
Schema = dict[str, Any]
_HEAD = """// Made from web/protocol/ by `python -m web.declarations`: change it there.
// Coordinates are in [0, 1] of the picture; `rtp` is a u32, `pts` counts 90 kHz ticks.
"""
_SCALARS = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}


def declarations() -> str:
    """The whole file."""
    server, client = SERVER_MESSAGE.json_schema(mode="serialization"), CLIENT_MESSAGE.json_schema(mode="validation")
    definitions: dict[str, Schema] = {**server["$defs"], **client["$defs"]}
    parts = [_HEAD]
    parts += [_interface(name, schema) for name, schema in sorted(definitions.items())]
    parts.append(f"export type ServerMessage = {_union(server)};\n")
    parts.append(f"export type ClientMessage = {_union(client)};\n")
    return "\n".join(parts)


def _interface(name: str, schema: Schema) -> str:
    lines = [f"/** {_line(schema['description'])} */"] if "description" in schema else []
    lines.append(f"export interface {name} {{")
    required = set(schema.get("required", ()))
    for key, value in schema["properties"].items():
        if "description" in value:
            lines.append(f"  /** {_line(value['description'])} */")
        lines.append(f"  {key}{'' if key in required else '?'}: {_type(value)};")
    return "\n".join([*lines, "}", ""])


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        values = schema.get("additionalProperties", True)
        return f"Record<string, {'unknown' if values is True else _type(values)}>"
    return _SCALARS[str(kind)]


def _array(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
    item = _type(schema["items"])
    return f"({item})[]" if " | " in item else f"{item}[]"


def _union(schema: Schema) -> str:
    return " | ".join(_type(option) for option in schema["oneOf"])


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("*/", "")


def main() -> None:
    PATH.write_text(declarations(), encoding="utf-8")


if __name__ == "__main__":
    main()
