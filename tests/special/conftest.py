import pytest

from retrograd.special import bessel, errors, gammas, incomplete


@pytest.fixture
def scipys_kernels():
    """Asks for SciPy's functions, where they are imported, in place of the formulas here."""


@pytest.fixture(autouse=True)
def _own_formulas(request, monkeypatch):
    if "scipys_kernels" not in request.fixturenames:
        for room in (bessel, errors, gammas, incomplete):
            monkeypatch.setattr(room, "scipy_kernel", lambda name, x: None)
