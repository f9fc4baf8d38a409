"""The command line. Each command is in a file of its own, imported when it is used.

Needs the extra `cli`, except for what a script calls inside a run (`_inside.shell`).
"""
