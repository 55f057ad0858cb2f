"""Renders the chat templates of tests/corpus/chat with Python's jinja2, set up as transformers sets it up.

    python chat_templates.py                       # writes ../chat/expected.json
    python chat_templates.py FILE...               # prints {file: {case: text}} for the templates of tokenizer_config.json files

Needs jinja2 (3.1.6 made the committed file). The clock stands at 2024-12-31 12:34:56 UTC. An error is
written as {"error": its text}.
"""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHAT = Path(__file__).resolve().parent.parent / "chat"
NOW = 1735648496
BOS, EOS = "<s>", "</s>"


class Generation(Extension):
    """`{% generation %}`: in transformers it notes where the model's own text lies, and writes nothing."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_plain"), [], [], body).set_lineno(lineno)

    @staticmethod
    def _plain(caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(format):
        return datetime.fromtimestamp(NOW, timezone.utc).strftime(format)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render_all(source, cases):
    rendered = {}
    for name, case in cases.items():
        try:
            rendered[name] = environment().from_string(source).render(
                messages=case["messages"],
                tools=case.get("tools"),
                documents=None,
                add_generation_prompt=case["add_generation_prompt"],
                bos_token=BOS,
                eos_token=EOS,
                **case.get("variables", {}),
            )
        except Exception as error:
            rendered[name] = {"error": str(error)}
    return rendered


def main(files):
    cases = json.loads((CHAT / "cases.json").read_text(encoding="utf-8"))
    if files:
        found = {}
        for file in files:
            template = json.loads(Path(file).read_text(encoding="utf-8"))["chat_template"]
            found[Path(file).name] = render_all(template, cases)
        json.dump(found, sys.stdout, ensure_ascii=False, indent=1)
        return
    expected = {
        path.name: render_all(path.read_bytes().decode("utf-8"), cases) for path in sorted((CHAT / "templates").glob("*.jinja"))
    }
    text = json.dumps(expected, ensure_ascii=False, indent=1) + "\n"
    (CHAT / "expected.json").write_text(text, encoding="utf-8")


main(sys.argv[1:])
