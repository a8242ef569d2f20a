"""spark-submit entry point: `beatlake train` with networks.

They are the estimators that are named, or the networks of the task, or `torch_resnet` where it has
none.
"""

import argparse
import sys

from beatlake.cli import main
from beatlake.config import ConfigError
from beatlake.learn import task_files
from beatlake.learn.estimators.networks.settings import NAMES


def networks(arguments: list[str]) -> list[str]:
    """The networks that are to be trained, where the arguments name no estimator."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--estimator")
    parser.add_argument("--task", default="")
    given, _ = parser.parse_known_args(arguments)
    if given.estimator:
        return []
    try:
        task = task_files.load(given.task)
    except ConfigError:
        return []  # `beatlake train` says what is wrong with it.
    own = [str(estimator.name) for estimator in task.estimators if estimator.name in NAMES]
    return own or ["torch_resnet"]


if __name__ == "__main__":
    named = [word for name in networks(sys.argv[1:]) for word in ("--estimator", name)]
    sys.exit(main(["train", *sys.argv[1:], *named]))
