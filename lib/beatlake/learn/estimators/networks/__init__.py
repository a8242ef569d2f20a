"""Networks of torch for tables and images: what they are, how they train, what they predict."""

from beatlake.learn.estimators.networks.network import Network, check_installed, fit
from beatlake.learn.estimators.networks.settings import NAMES, check

__all__ = ["NAMES", "Network", "check", "check_installed", "fit"]
