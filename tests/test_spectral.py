"""Laws of the transforms of few waves and of convolutions across the edges."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from potentia.errors import DataError
from potentia.nn import PeriodicConv2d, doubled, fields_of, framed, modes_of, spectral

GRIDS = [((16,), (5,)), ((16,), (9,)), ((15,), (8,)), ((8, 10), (8, 6)), ((8, 9), (7, 5)), ((7, 8), (4, 2))]
every_grid = pytest.mark.parametrize(("grid", "kept"), GRIDS)


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@every_grid
@pytest.mark.parametrize("norm", ["forward", "ortho"])
def test_matrix_products_and_fast_transforms_give_the_same(monkeypatch, grid, kept, norm):
    fields = drawn(3, 2, *grid)
    modes = modes_of(fields, kept, norm)
    back = fields_of(modes, grid, norm)
    monkeypatch.setattr(spectral, "MATRIX_MODES", 0)
    torch.testing.assert_close(modes_of(fields, kept, norm), modes, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(fields_of(modes, grid, norm), back, rtol=1e-12, atol=1e-12)


@every_grid
def test_what_is_kept_comes_back(grid, kept):
    smooth = fields_of(modes_of(drawn(3, 2, *grid), kept), grid)
    odd = kept if len(kept) == 1 else (kept[0] - (kept[0] + 1) % 2, kept[1])  # as many waves up as down
    smooth = fields_of(modes_of(smooth, odd), grid)
    torch.testing.assert_close(fields_of(modes_of(smooth, kept), grid), smooth, rtol=1e-12, atol=1e-12)


def test_amplitudes_of_a_wave():
    x, y = torch.arange(16.0).double() / 16, torch.arange(12.0).double() / 12
    wave = 3 * torch.cos(2 * torch.pi * (-2 * x[:, None] + 1 * y))  # [x, y]
    modes = modes_of(wave, (5, 3))  # [kept y, kept x], rows 0, 1, 2, -2, -1
    wanted = torch.zeros(3, 5, dtype=torch.complex128)
    wanted[1, 3] = 1.5
    torch.testing.assert_close(modes, wanted, rtol=0, atol=1e-14)
    torch.testing.assert_close(fields_of(wanted, (16, 12)), wave, rtol=0, atol=1e-14)
    fine = fields_of(wanted, (32, 24))
    torch.testing.assert_close(fine[::2, ::2], wave, rtol=0, atol=1e-14)


@every_grid
def test_transforms_have_derivatives(grid, kept):
    assert torch.autograd.gradcheck(
        lambda u: fields_of(modes_of(u, kept, "ortho"), grid), drawn(2, *grid).requires_grad_()
    )


def test_waves_that_a_grid_has_not_are_refused():
    with pytest.raises(DataError, match=r"a grid of \(8, 8\) points has \(8, 5\) waves .* cannot give \(9, 4\)"):
        modes_of(drawn(8, 8), (9, 4))
    with pytest.raises(DataError, match="keep fewer"):
        fields_of(drawn(6).to(torch.complex128), (8,))


def test_a_transform_first_used_in_inference_serves_training():
    with torch.inference_mode():
        modes_of(drawn(2, 14), (3,))
    modes_of(drawn(2, 14).requires_grad_(), (3,)).abs().sum().backward()


def test_a_frame_is_circular_padding():
    fields = drawn(2, 3, 4, 5).requires_grad_()
    torch.testing.assert_close(framed(fields), functional.pad(fields, (1, 1, 1, 1), mode="circular"), rtol=0, atol=0)
    assert torch.autograd.gradcheck(framed, fields)
    assert torch.autograd.gradgradcheck(framed, fields)


def test_doubling_is_bilinear_and_periodic():
    fields = drawn(2, 3, 4, 5)
    wide = functional.pad(fields, (1, 1, 1, 1), mode="circular")
    wanted = functional.interpolate(wide, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(doubled(fields), wanted)
    torch.testing.assert_close(doubled(fields.roll((1, 2), (2, 3))), doubled(fields).roll((2, 4), (2, 3)))


@pytest.mark.parametrize("stride", [1, 2])
def test_moved_fields_give_moved_convolutions(stride):
    layer = PeriodicConv2d(3, 4, stride).double()
    fields = drawn(2, 3, 8, 6)
    torch.testing.assert_close(
        layer(fields.roll((2, 4), (2, 3))), layer(fields).roll((2 // stride, 4 // stride), (2, 3))
    )
