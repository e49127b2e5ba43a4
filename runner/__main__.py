"""The gate: python -m runner."""

import gc
import signal
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until main answers signals nothing is open: end at once, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What importing makes is no garbage. To look through it again and again, and once more at the
    # end, takes a quarter of a run that has nothing to do.
    gc.set_threshold(100_000)
    from runner.cli.main import main

    exit_code = main()
    gc.freeze()
    sys.exit(exit_code)
