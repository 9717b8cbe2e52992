#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chat templates in several spellings, what `apply_chat_template` of Hugging Face's `transformers` makes of them, and
templates that are to be refused.

golden.json: {"templates": [{"name", "form", "bos", "today", "jinja", "conversations": [{"messages", "text", "asking"}]}],
"refused": [{"jinja", "says"}], "ids": [...]}. "text" is without, "asking" with the beginning of an answer; "ids" are those of a
conversation in ChatML with tests/golden/tokenizers/smollm.json, whose two special tokens are renamed.
The templates are also seeds of the fuzz target chat_template.
usage: make.py [FILE]
"""
import datetime
import json
import os
import sys

import transformers.utils.chat_template_utils as utils
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
TODAY = "28 Nov 2026"


class FixedDate(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 28)


utils.datetime = FixedDate

CHATML_TURN = "'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'"
ASKS = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
LLAMA_TURN = "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>'"
LLAMA_ASKS = "{%- if add_generation_prompt %}\n{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n{%- endif %}"

DATED = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{#- The system turn. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- """ + LLAMA_TURN + """ }}
    {%- endif %}
{%- endfor %}
""" + LLAMA_ASKS + "\n"

TEMPLATES = {  # name: form, BOS, template
    "plain": ("chatml", "", "{% for message in messages %}{{" + CHATML_TURN + "}}{% endfor %}" + ASKS),
    "own system turn": ("chatml", "", """{% for message in messages %}
{% if loop.first and messages[0].role != 'system' %}
    {{- '<|im_start|>system\\nIt\\'s a test.<|im_end|>\\n' }}
{%- endif %}
    {{- "<|im_start|>" + message.role + "\\n" }}
    {{- message.content + "<|im_end|>\\n" }}
{%- endfor %}
""" + ASKS),
    "text outside of tags": ("chatml", "", """{% for message in messages %}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}"""),
    "trimmed, with BOS": ("chatml", "<s>", """{{ bos_token }}{%- for message in messages -%}
  {{ '<|im_start|>' + message["role"] + '\n' + message["content"] | trim + '<|im_end|>\n' }}
{%- endfor -%}
""" + ASKS),
    "tools": ("chatml", "", """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- else %}{{- 'Help.' }}{%- endif %}
    {{- "\\n\\n# Tools\\n" }}{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}{{- "<|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nHelp.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- for tool_call in message.tool_calls %}{{- '\\n<tool_call>\\n' + tool_call.name + '</tool_call>' }}{%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""),
    "Llama 3": ("llama-3", "<|begin_of_text|>", "{% for message in messages %}{% set content = " + LLAMA_TURN +
                " %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
                + LLAMA_ASKS),
    "Llama 3.1": ("llama-3", "<|begin_of_text|>", DATED),
    "Llama 3.2": ("llama-3", "<|begin_of_text|>", DATED.replace(
        '    {%- set date_string = "26 Jul 2024" %}\n',
        '    {%- if strftime_now is defined %}\n        {%- set date_string = strftime_now("%d %b %Y") %}\n'
        '    {%- else %}\n        {%- set date_string = "26 Jul 2024" %}\n    {%- endif %}\n')),
}

SYSTEM = {"role": "system", "content": " Speak like a sailor.\n"}
TURNS = [
    {"role": "user", "content": "Hello, who's there?"},
    {"role": "assistant", "content": "Ahoy!\nIt is I."},
    {"role": "user", "content": "  Größe 😀?  "},
]
CONVERSATIONS = [TURNS[:1], TURNS, [SYSTEM] + TURNS]

REFUSED = [
    ("{% for message in messages %}{{ '<start_of_turn>' + message['role'] + message['content'] }}{% endfor %}", "Gemma's"),
    ("{% for m in messages %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endfor %}", "Mistral's"),
    ("{% for message in messages %}{{'<|user|>' + message['content']}}{% endfor %}", "Zephyr's"),
    ("{{ messages[0].content }}", "another that begins with '{{ messages[0].content }}'"),
    ("", "another that begins with ''"),
    # Turns of ChatML with something more: thoughts, other markers, line ends between, another system turn, another prompt.
    (TEMPLATES["plain"][2] + "{{ '<think>' }}", "thoughts"),
    (TEMPLATES["plain"][2] + "{{ '<|vision_start|>' }}", "another that begins with"),
    (TEMPLATES["plain"][2].replace("{% endfor %}", "{{ '\\n' }}{% endfor %}"), "another that begins with"),
    (TEMPLATES["plain"][2].replace("{% endfor %}", "\n\n{% endfor %}"), "another that begins with"),
    (TEMPLATES["own system turn"][2] + "{{ '<|im_start|>system\\nTwo.<|im_end|>\\n' }}", "another that begins with"),
    (TEMPLATES["own system turn"][2].replace("{%- endfor", "{% endfor"), "another that begins with"),
    (TEMPLATES["own system turn"][2].replace("{%- endif", "{% endif", 1), "another that begins with"),
    ("{% set system_message = 'Help.' %}" + TEMPLATES["plain"][2], "another that begins with"),
    (TEMPLATES["plain"][2].replace("assistant", "bot"), "another that begins with"),
    (TEMPLATES["plain"][2].replace("message['content']", "message['content'] | upper"), "another that begins with"),
    (TEMPLATES["Llama 3.1"][2].replace("December 2023", "June 2024"), "another that begins with"),
    # No templates.
    (TEMPLATES["plain"][2][:-3], "another that begins with"),
    ("{{ 'that does not end", "another that begins with"),
    ("{% raw %}" + TEMPLATES["plain"][2] + "{% endraw %}", "another that begins with"),
]


def tokenizer(bos):
    with open(os.path.join(HERE, "..", "tokenizers", "smollm.json")) as file:
        text = file.read().replace("<|begin|>", "<|im_start|>").replace("<|end|>", "<|im_end|>")
    path = "/tmp/chat-tokenizer.json"
    with open(path, "w") as file:
        file.write(text)
    made = PreTrainedTokenizerFast(tokenizer_file=path)
    os.remove(path)
    if bos:
        made.bos_token = bos
    return made


def rendered(jinja, bos, messages, asking):
    return tokenizer(bos).apply_chat_template(messages, chat_template=jinja, tokenize=False, add_generation_prompt=asking)


def main():
    templates = []
    for name, (form, bos, jinja) in TEMPLATES.items():
        conversations = [{"messages": messages, "text": rendered(jinja, bos, messages, False),
                          "asking": rendered(jinja, bos, messages, True)} for messages in CONVERSATIONS]
        templates.append({"name": name, "form": form, "bos": bos, "today": TODAY, "jinja": jinja,
                          "conversations": conversations})
    text = rendered(TEMPLATES["plain"][2], "", CONVERSATIONS[1], True)
    seeds = os.path.join(HERE, "..", "..", "fuzz", "seeds", "chat_template")
    os.makedirs(seeds, exist_ok=True)
    for name, (_, _, jinja) in TEMPLATES.items():
        with open(os.path.join(seeds, name.replace(" ", "_").replace(",", "") + ".jinja"), "w") as file:
            file.write(jinja)
    ids = tokenizer("")(text, add_special_tokens=False)["input_ids"]
    golden = {"templates": templates, "refused": [{"jinja": jinja, "says": says} for jinja, says in REFUSED], "ids": ids}
    with open(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "golden.json"), "w") as file:
        json.dump(golden, file, ensure_ascii=False, indent=1)
        file.write("\n")


main()
