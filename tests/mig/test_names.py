"""Profile names: the grammar, and the mistakes people make."""

import pytest

from migprov.mig import geometry
from migprov.mig.names import BadProfileName, compute_instance_name, parse


@pytest.mark.parametrize(
    ("text", "canonical", "compute", "slices", "gb", "suffix"),
    [
        ("3g.40gb", "3g.40gb", None, 3, 40, ""),
        ("MIG 1g.18gb", "1g.18gb", None, 1, 18, ""),
        ("1c.3g.40gb", "1c.3g.40gb", 1, 3, 40, ""),
        ("3c.3g.40gb", "3g.40gb", 3, 3, 40, ""),
        ("7c.7g.80gb", "7g.80gb", 7, 7, 80, ""),
        ("1g.10gb+me", "1g.10gb+me", None, 1, 10, "+me"),
        ("1g.10gb.me", "1g.10gb+me", None, 1, 10, "+me"),
        ("1g.24gb+me.all", "1g.24gb+me.all", None, 1, 24, "+me.all"),
        ("1g.24gb-me", "1g.24gb-me", None, 1, 24, "-me"),
        (" 2G.20GB ", "2g.20gb", None, 2, 20, ""),
        ("7g.141gb", "7g.141gb", None, 7, 141, ""),
    ],
)
def test_a_name_is_taken_apart(text, canonical, compute, slices, gb, suffix):
    name = parse(text)
    assert tuple(name) == (compute, slices, gb, suffix)
    assert name.canonical == canonical
    assert parse(name.canonical).canonical == canonical


def test_every_name_of_the_table_is_a_name():
    for product in geometry.products():
        for profile in product.card.profiles:
            assert parse(profile.name).canonical == profile.name
            assert parse(profile.name).slices == profile.slices


@pytest.mark.parametrize("text", ["", "3g", "40gb", "3g.40", "g.40gb", "0g.5gb", "3g.40gb+", "3g.40gb x", "a" * 500])
def test_other_text_is_refused_with_an_example(text):
    with pytest.raises(BadProfileName, match=r"3g\.40gb"):
        parse(text)


@pytest.mark.parametrize("text", ["19", "9", "0"])
def test_a_profile_id_is_refused_with_the_reason(text):
    with pytest.raises(BadProfileName, match=r"profile id.*19 is 1g\.10gb and 3g\.40gb is 9"):
        parse(text)


def test_more_compute_slices_than_the_instance_has_are_refused():
    with pytest.raises(BadProfileName, match="asks for 4 compute slices"):
        parse("4c.3g.40gb")


def test_a_compute_instance_is_named_after_its_gpu_instance():
    assert compute_instance_name(1, 3, "3g.40gb") == "1c.3g.40gb"
    assert compute_instance_name(3, 3, "3g.40gb") == "3g.40gb"
