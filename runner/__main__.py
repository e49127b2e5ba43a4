"""Run the command line: python -m runner."""

import gc
import signal
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing is open until main handles signals: end at once, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Imported modules are no garbage: collecting them again and again, and at the end, takes a
    # quarter of the time of a run that has nothing to do.
    gc.set_threshold(100_000)
    from runner.cli.main import main

    exit_code = main()
    gc.freeze()
    sys.exit(exit_code)
