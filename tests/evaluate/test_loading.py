"""What a command line names is loaded, or the message says what to write."""

import sys

import pytest

from resilient_ml.evaluate.loading import NotLoaded, load


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory to import from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_module_of_the_current_directory_is_found(here):
    (here / "shop_model.py").write_text("class Model:\n    def predict(self): return 1\nmodel = Model()\n")
    assert load("the model", "shop_model:model.predict")() == 1
    assert load("the model", "shop_model:Model").__name__ == "Model"


@pytest.mark.parametrize("named", ["shop", "shop:", ":predict", ""])
def test_a_name_has_two_parts(named):
    with pytest.raises(
        NotLoaded, match=r"--guard must be module:attribute, got .*; write app.models:predict, say"
    ):
        load("--guard", named)


def test_a_missing_module_is_told(here):
    with pytest.raises(NotLoaded, match="--guard: there is no module 'no_such_shop'; run this where"):
        load("--guard", "no_such_shop.models:predict")


def test_a_missing_dependency_of_the_module_is_told_as_such(here):
    (here / "needy_shop.py").write_text("import no_such_dependency\n")
    with pytest.raises(
        NotLoaded, match="module 'needy_shop' needs 'no_such_dependency', which is not installed"
    ):
        load("--guard", "needy_shop:x")


def test_an_import_error_without_a_name_is_told(here):
    (here / "odd_shop.py").write_text("raise ModuleNotFoundError('odd')\n")
    with pytest.raises(NotLoaded, match="module 'odd_shop' needs None"):
        load("--guard", "odd_shop:x")


def test_a_module_that_fails_is_told_with_its_error(here):
    (here / "broken_shop.py").write_text("1 / 0\n")
    with pytest.raises(NotLoaded, match="failed to import: ZeroDivisionError: division by zero"):
        load("--guard", "broken_shop:x")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("math:sqr", "module 'math' has no attribute 'sqr'; did you mean 'sqrt'?"),
        ("math:pi.reel", "float in 'math:pi.reel' has no attribute 'reel'; did you mean 'real'?"),
        ("math:qqq", "module 'math' has no attribute 'qqq'; check its spelling"),
    ],
)
def test_a_missing_attribute_is_told_with_the_likeliest(named, message):
    with pytest.raises(NotLoaded, match=message.replace("?", r"\?")):
        load("--guard", named)
