"""What code names: variables outside, attributes, methods."""

from __future__ import annotations

from retrograd.compiler.codes import scan

LIMIT = 1


def test_variables_attributes_and_methods_are_told_apart():
    def fn(x):
        return x.shape, x.mean(), LIMIT

    found = scan(fn.__code__)
    assert found.variables == {"LIMIT"}
    assert found.read == {"shape"}
    assert found.called == {"mean"}
    assert not found.reads_all


def test_functions_and_classes_defined_inside_belong_to_it():
    def fn(xs):
        def inside(x):
            return x.alpha + LIMIT

        class Inside:
            size = len(xs)

            def method(self):
                return self.beta

        return [inside(x).gamma for x in xs], Inside, lambda y: y.delta

    assert scan(fn.__code__).read >= {"alpha", "beta", "gamma", "delta"}
    assert "LIMIT" in scan(fn.__code__).variables


def test_what_is_only_set_is_not_read():
    def fn(x):
        global LIMIT
        LIMIT = 2
        x.out = 3
        return x

    found = scan(fn.__code__)
    assert found.stored == {"LIMIT"}
    assert "LIMIT" not in found.variables
    assert "out" not in found.read


def test_names_that_are_computed_may_be_any():
    assert scan((lambda x, n: getattr(x, n)).__code__).reads_all
    assert scan((lambda x: vars(x)).__code__).reads_all
    assert scan((lambda x: x.__dict__).__code__).reads_all


def test_a_code_is_looked_through_once():
    code = (lambda x: x.alpha).__code__
    assert scan(code) is scan(code)
