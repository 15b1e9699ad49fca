# SPDX-License-Identifier: MIT
"""openapi.yaml stands alone and says the same of a PCS as pcs.schema.json, of an event as event.schema.json: client generators read nothing beside it, and stumble over overlays."""
import json

import yaml

API, SCHEMA, EVENT = "proto/openapi.yaml", "proto/pcs.schema.json", "proto/event.schema.json"
COMPONENTS = "#/components/schemas/"
OWN = ("$schema", "$id", "title", "$defs")  # of a schema that is a file of its own


def references(value):
    """Every $ref below a value."""
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [ref for each in value.values() for ref in references(each)]
    return [ref for each in value for ref in references(each)] if isinstance(value, list) else []


def resolves(document, ref):
    at = document
    for key in ref[2:].split("/"):
        at = at.get(key) if isinstance(at, dict) else None
    return ref.startswith("#/") and at is not None


def as_component(value):
    """A part of pcs.schema.json as OpenAPI has it: #/$defs/name is the component Name."""
    if isinstance(value, dict):
        return {key: COMPONENTS + each.rsplit("/", 1)[1].capitalize() if key == "$ref" else as_component(each)
                for key, each in value.items()}
    return [as_component(each) for each in value] if isinstance(value, list) else value


def differences(path, left, right):
    if isinstance(left, dict) and isinstance(right, dict):
        return [fault for key in sorted({*left, *right}) for fault in differences(f"{path}.{key}", left.get(key), right.get(key))]
    return [] if left == right else [f"{API}: {path} is {left!r}, its schema has {right!r}"]


def check(tree):
    document, schema = yaml.safe_load(tree.read(API)), json.loads(tree.read(SCHEMA))
    faults = [f"{API}: $ref {ref} leads out of the file or nowhere" for ref in references(document) if not resolves(document, ref)]
    text = json.dumps(document)
    faults += [f"{API}: {word} makes generators leave a type out" for word in ("allOf", "const") if f'"{word}":' in text]
    components = document["components"]["schemas"]
    expected = {"Pcs": {key: value for key, value in schema.items() if key not in OWN},
                **{name.capitalize(): value for name, value in schema["$defs"].items()}}
    event = json.loads(tree.read(EVENT))
    expected["Event"] = {key: value for key, value in event.items() if key not in OWN}
    for name, value in expected.items():
        faults += differences(name, components.get(name), as_component(value))
    return faults


def planted(name, old, new):
    def plant(tree):
        text = tree.read(name)
        assert old in text
        tree.write(name, text.replace(old, new, 1))
        return API
    return plant


PLANTS = {"another file": planted(API, "$ref: '#/components/schemas/Pcs'", "$ref: pcs.schema.json"),
          "overlay": planted(API, "$ref: '#/components/schemas/Outcome'", "allOf: [{$ref: '#/components/schemas/Outcome'}]"),
          "limit": planted(SCHEMA, '"maxItems": 64', '"maxItems": 65'),
          "event": planted(EVENT, '"maximum": 599', '"maximum": 600'),
          "member": planted(SCHEMA, '"attempt":', '"attempts":')}
