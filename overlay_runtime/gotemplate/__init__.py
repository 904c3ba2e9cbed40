"""Go's text/template, as far as users of Kairos write it (https://pkg.go.dev/text/template).

Kairos renders commands, conditions and files with it; so does the stage runner.
"""
