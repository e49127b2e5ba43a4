"""The gate: python -m runner."""

import signal
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until main answers signals nothing is open: end at once, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from runner.cli import main

    sys.exit(main())
