"""Prepare a Python program that `mission-tracer run` began, before its first line; found through PYTHONPATH.

Children of the program inherit it. The interpreter may be another one than ours, so nothing here needs a new Python,
and whatever fails leaves the program as it is.
"""  # noqa: INP001 - a directory on PYTHONPATH, not a package

import os
import sys


def _prepare():  # type: ignore[no-untyped-def]  # noqa: ANN202 - must be read by any Python
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not to be imported for the program
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != here]  # noqa: PTH100
    try:
        if os.environ.get("MISSION_TRACER_BOOT"):
            from mission_tracer.cli._program import hooks

            hooks.install(os.environ["MISSION_TRACER_BOOT"])
        if os.environ.get("MISSION_TRACER_PROGRAM") == str(os.getpid()):
            import atexit

            atexit.register(_note_error)
    except Exception as error:  # noqa: BLE001 - the program is to run as it would without us
        if not isinstance(error, ImportError):
            sys.stderr.write("mission_tracer: error: the program could not be prepared: %r\n" % (error,))  # noqa: UP031


def _note_error():  # type: ignore[no-untyped-def]  # noqa: ANN202 - must be read by any Python
    """Note the exception that ended the program: the interpreter leaves it here when it has printed it."""
    error = getattr(sys, "last_value", None)
    # After Ctrl-C nothing may be imported: compiling code makes the interpreter forget that it is to end by SIGINT.
    if error is not None and not isinstance(error, KeyboardInterrupt):
        from mission_tracer.cli._program import uncaught

        uncaught.note(error)


def _chain():  # type: ignore[no-untyped-def]  # noqa: ANN202 - must be read by any Python
    """Let the `sitecustomize` that ours hides do its work."""
    import importlib.machinery
    import importlib.util

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_prepare()  # type: ignore[no-untyped-call]
_chain()  # type: ignore[no-untyped-call]
