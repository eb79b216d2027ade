"""Greedy: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper
from ambidex.base.cards.published import inforeg_table, toolkit

card = Card(
    intervenes=("architecture", "features", "objective"),
    missing="its encoders exchange, and nothing says what an absent one tells the other",
    cost=Cost(
        words="no pass more; an MMTM per stage, and two norms per parameter in each step of mode guided"
    ),
    paper=Paper(
        "Wu, Jastrzebski, Cho, Geras",
        "Characterizing and Overcoming the Greedy Nature of Learning in Multi-modal Deep Neural Networks",
        "ICML",
        2022,
    ),
    modalities="two in the paper and here",
    deviations=(
        "Each running mean is of its own stream's gates; in the released code the second is of the first's.",
        "Running means are used before the batch moves them, move in training alone and are saved; in the released "
        "code they include the batch, move in validation too and are lost with the process.",
        "Every step weighs the same in a running mean, with all of its samples over ranks and micro-batches.",
        "Gates of a held stream have gradients of zero, as with older torch: weight decay and momentum move them.",
        "Gates multiply by a sigmoid, as in the released code; the paper of MMTM has twice the sigmoid.",
        "The tables below set it against joint training of another head; its own reference is `mode: plain`.",
        "In mode random the step kinds are drawn from epoch `warm_up` on, whose first step is regular.",
        "The toolkit trains one concatenated head, with a threshold of 0.001 from the first epoch on, and "
        "MMTM after all four layers of ResNet-18; here, as published, two heads, and MMTM after layers 2, 3 and 4.",
    ),
    published=(*toolkit(66.48, 66.82), *inforeg_table(67.82, 66.54)),
    guards=("tests/learn/test_method_greedy.py", "tests/net/test_exchange.py"),
)
