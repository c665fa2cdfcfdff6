"""What guards passwords: the parameters of production, which the other tests do without (tests/conftest.py)."""

import importlib.util

from saas.tenants import passwords


def test_the_parameters_are_owasps():
    spec = importlib.util.find_spec("saas.tenants.passwords")
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    used = fresh._HASHER
    assert (used.type.name, used.time_cost, used.memory_cost, used.parallelism) == ("ID", 2, 19 * 1024, 1)
    assert passwords.needs_rehash(used.hash("correct horse battery")), "a hash of other parameters is made anew"
