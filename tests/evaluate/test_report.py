"""The page: one file that needs nothing else, and takes nothing that users named for HTML."""

import re
from html.parser import HTMLParser

import pytest

from resilient_ml.evaluate import KPI, Workload, evaluate, plots, report

from .made import sell, shop_evaluation, shop_guard


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.attributes, self.text = [], [], [], []
        self._open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in ("meta", "br", "path", "use", "rect", "line"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def evaluation():
    return shop_evaluation()


@pytest.fixture(scope="module")
def page(evaluation):
    return Page(evaluation.to_html())


@pytest.fixture(scope="module")
def text(page):
    return " ".join(" ".join(page.text).split())


def test_the_page_loads_nothing_and_runs_nothing(page):
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    loading = [one for one in page.attributes if one[1] in ("src", "href", "xlink:href", "srcset")]
    assert all(value.startswith("#") for _, _, value in loading)
    assert "default-src 'none'" in str([value for tag, name, value in page.attributes if tag == "meta"])


def test_the_page_fits_a_phone_and_either_light(page):
    meta = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content")]
    assert "width=device-width, initial-scale=1" in meta
    assert "light dark" in meta


@pytest.mark.once
def test_ids_are_unique_and_references_lead_to_them(evaluation, page):
    assert len(page.ids) == len(set(page.ids))
    references = set(re.findall(r'(?:url\(|href=")#([^)"]+)', evaluation.to_html()))
    assert references <= set(page.ids)
    assert references


@pytest.mark.once
def test_every_colour_of_a_plot_is_a_variable_that_the_page_has(evaluation):
    html = evaluation.to_html()
    used = set(re.findall(r"var\(--([\w-]+)\)", html))
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", html, flags=re.DOTALL)
    for style in (light, dark):
        assert used <= set(re.findall(r"--([\w-]+):", style))
    assert set(plots.VARIABLES.values()) <= set(re.findall(r"--([\w-]+):", light))
    body = html[html.index("<body>") :]
    assert not re.findall(r"#0a00\w\w|#000000|#ffffff", body)


def test_the_page_says_what_the_evaluation_found(text):
    assert "sell: naked against guarded" in text
    assert "100 requests, the same for each, in virtual time, seed 7" in text
    assert "1 of 2 objectives missed." in text
    assert "missed guarded.wrong <= 1% : guarded has wrong" in text
    assert "+20 points" in text
    assert "error(ConnectionError), from 4 s to 6 s" in text
    assert "not by a policy" in text
    assert "trouble, as planned" in text
    assert "half-open: trying" in text


@pytest.mark.once
def test_what_users_named_is_text_and_never_markup(evaluation, text):
    assert "<users>" not in evaluation.to_html()
    assert "what <users> say" in text
    assert "<shop> & $x$" in text


def test_the_page_is_written_where_it_is_wanted(evaluation, tmp_path):
    html = evaluation.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text("utf-8") == html


@pytest.mark.once
def test_the_same_evaluation_gives_the_same_page(evaluation):
    assert evaluation.to_html() == evaluation.to_html()


def test_a_page_of_one_configuration_without_faults():
    alone = evaluate(
        sell, {"naked": None}, workload=Workload.constant([1], rate=1000.0, count=20), healthy=False
    )
    found = " ".join(" ".join(Page(alone.to_html()).text).split())
    assert "Objectives" not in found
    assert "Outages" not in found
    assert "Faults" not in found
    assert "in real time" in found


def test_a_page_of_objectives_that_are_met():
    met = shop_evaluation(objectives=["guarded.availability == 100%"])
    assert "All objectives are met." in met.to_html()


def test_a_page_of_found_trouble_and_of_kpis_that_only_one_has():
    def down(number):
        if 30 <= number < 50:
            raise ConnectionError
        return number

    evaluation = evaluate(
        down,
        {"guarded": shop_guard, "twin": shop_guard, "naked": None},
        kpis=[KPI("excuses", lambda row: 1.0 if row.degraded else None, better="lower")],
        workload=Workload.constant(list(range(100)), rate=10.0, count=100, clients=1),
        virtual=True,
        healthy=False,
    )
    html = evaluation.to_html()
    assert "trouble, as found" in html
    assert "change of twin" in html


def test_many_policies_are_drawn_only_up_to_a_number(monkeypatch):
    monkeypatch.setattr(plots, "MOST_LANES", 0)
    assert "<shop> &amp;" not in plots.timelines(shop_evaluation(), 10.0, wide=True)


@pytest.mark.parametrize("missing", report.NEEDS)
def test_what_is_not_installed_is_named_with_the_command(evaluation, monkeypatch, missing):
    def find_spec(name):
        return None if name == missing else "found"

    monkeypatch.setattr(report.importlib.util, "find_spec", find_spec)
    message = (
        rf"needs {missing}, which is not installed; install it with: pip install 'resilient-ml\[evaluate\]'"
    )
    with pytest.raises(ModuleNotFoundError, match=message):
        evaluation.to_html()
