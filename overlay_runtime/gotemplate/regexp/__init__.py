"""Go's regexp (RE2, https://pkg.go.dev/regexp/syntax): linear in time, whatever the pattern.

Python's `re` takes exponential time for some patterns, and its syntax is another one.
"""

from overlay_runtime.gotemplate.regexp.match import Regexp, compiled

__all__ = ["Regexp", "compiled"]
