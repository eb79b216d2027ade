"""Whether a chart can be read: everything inside the picture, no legend over data, no label over another."""

from itertools import pairwise

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox


def overlap(a, b):
    """Whether two boxes share more than a pixel in both directions."""
    common = Bbox.intersection(a, b)
    return common is not None and common.width > 1 and common.height > 1


def check(chart):
    """Fail where a part of `chart` is cut off or lies over another."""
    figure = chart.figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.canvas.get_width_height()
    visible = [axes for axes in figure.axes if axes.get_visible()]
    for axes in visible:
        box = axes.get_tightbbox(renderer)
        assert -1 <= box.x0 < box.x1 <= width + 1, chart.name
        assert -1 <= box.y0 < box.y1 <= height + 1, chart.name
        if legend := axes.get_legend():
            assert not overlap(legend.get_window_extent(renderer), axes.get_window_extent(renderer)), (
                chart.name
            )
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            labels = [
                tick.label1.get_window_extent(renderer)
                for tick in axis.get_major_ticks()
                if tick.label1.get_visible() and tick.label1.get_text() and low <= tick.get_loc() <= high
            ]
            assert not any(overlap(a, b) for a, b in pairwise(labels)), (chart.name, axis.axis_name)
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        assert box.x1 <= width + 1, chart.name
        assert not any(overlap(box, axes.get_tightbbox(renderer)) for axes in visible), chart.name
