"""Renders Markdown with GitHub's own engine, cmark-gfm, and prints the HTML.

    markdown.py < comment.md

Raw HTML is kept, as in a comment before GitHub's sanitizer; the extensions are those of GitHub.
"""

import sys

import cmarkgfm
from cmarkgfm.cmark import Options

text = sys.stdin.buffer.read().decode("utf-8")
sys.stdout.buffer.write(
    cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE).encode("utf-8")
)
