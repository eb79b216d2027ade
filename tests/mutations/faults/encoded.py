"""Tokens, and samples that lack a modality."""

from mutations.fault import Fault

ENCODED = "src/ambidex/net/encoded.py"
TOKENS = "tests/net/test_tokens.py::"
MISSING = "tests/net/test_missing.py::"
DECIDE = "tests/decide/test_decide_missing.py::"
RUN = "tests/stages/test_missing_run.py::"

FAULTS = [
    Fault(
        name="encoded: attention looks at padding",
        file="src/ambidex/net/attention.py",
        before="scores = scores.masked_fill(~real[:, None, None], torch.finfo(scores.dtype).min)",
        after="scores = scores",
        caught_by=TOKENS + "test_attention_is_what_loops_say_and_a_mask_is_a_shorter_sequence",
    ),
    Fault(
        name="encoded: the pooled feature counts padding",
        file="src/ambidex/net/attention.py",
        before="kept.sum(1) / real.sum(1, keepdim=True).clamp_min(1)",
        after="kept.mean(1)",
        caught_by=TOKENS + "test_what_stands_in_padding_changes_no_bit",
    ),
    Fault(
        name="encoded: the tokens of an absent modality are looked at",
        file=ENCODED,
        before="real = real & self.present[:, None]",
        after="real = real.clone()",
        caught_by=TOKENS + "test_what_an_absent_modality_holds_changes_no_bit",
    ),
    Fault(
        name="encoded: a coalition keeps the tokens of the others",
        file=ENCODED,
        before="return Encoded(pooled, self.tokens, self.mask, gone)",
        after="return Encoded(pooled, self.tokens, self.mask, self.present)",
        caught_by=TOKENS + "test_coalitions_take_tokens_out_and_shapley_is_the_mean_over_orders",
    ),
    Fault(
        name="encoded: scaling leaves the tokens as they were",
        file=ENCODED,
        before="self.tokens * factor[:, None, None]",
        after="self.tokens",
        caught_by=TOKENS + "test_rows_joined_and_scaled_keep_tokens_in_step",
    ),
    Fault(
        name="missing: an absent modality adds what its filled feature says",
        file=ENCODED,
        before="torch.where(here[m][:, None], z, z.new_zeros(())) if m in here else z",
        after="z",
        caught_by=MISSING + "test_additive_logits_are_the_sum_over_the_modalities_that_are_there",
    ),
    Fault(
        name="missing: an absent modality plays in the Shapley game",
        file="src/ambidex/net/contributions/coalitions.py",
        before="[m for m, one in zip(features, pattern, strict=True) if one]",
        after="list(features)",
        caught_by=MISSING + "test_shapley_is_played_by_those_that_are_there",
    ),
    Fault(
        name="missing: a modality's loss counts samples that lack it",
        file="src/ambidex/learn/method.py",
        before='(self.cross_entropy(logits, "none") * present).mean()',
        after="self.cross_entropy(logits)",
        caught_by=MISSING + "test_own_losses_count_the_samples_that_have_the_modality",
    ),
    Fault(
        name="missing: the running mean is forgotten in each pass",
        file="src/ambidex/net/fill.py",
        before="(1 / passes.float()).clamp_min(MOMENTUM)",
        after="1.0",
        caught_by=MISSING + "test_the_rules_of_filling",
    ),
    Fault(
        name="missing: a learned feature stands still with frozen encoders",
        file="src/ambidex/net/fill.py",
        before='torch.is_grad_enabled() or (self.training and self.rule == "learned")',
        after="torch.is_grad_enabled()",
        caught_by=MISSING + "test_the_rules_of_filling",
    ),
    Fault(
        name="missing: all samples go through the encoder",
        file="src/ambidex/net/model.py",
        before="return self.fill.spread(modality, self._of_some(modality, x[present]), present)",
        after="return Encoded(self.encoded(modality, x).pooled, present=present)",
        caught_by=MISSING
        + "test_what_stands_in_place_of_an_absent_modality_changes_no_bit_of_training[mean-gated]",
    ),
    Fault(
        name="missing: a probe is fitted on samples that lack its modality",
        file="src/ambidex/judge/probes.py",
        before="    own_groups = (\n        [group for",
        after="    inputs, rows = own, everyone\n    own_groups = (\n        [group for",
        caught_by=MISSING + "test_a_probe_is_fitted_on_the_samples_that_have_its_modality",
    ),
    Fault(
        name="missing: an allocator's weights are shared with who is absent",
        file="src/ambidex/decide/allocators/_heard.py",
        before="if there.all():",
        after="if True:",
        caught_by=DECIDE + "test_the_others_share_as_if_it_did_not_exist[confidence]",
    ),
    Fault(
        name="missing: zeros of absent samples move the statistics",
        file="src/ambidex/data/store/extraction.py",
        before="for name, value in sample.items() if name in row.paths",
        after="for name, value in sample.items()",
        caught_by=RUN + "test_the_store_says_who_has_what_and_measures_those_alone",
    ),
    Fault(
        name="missing: a branch is judged on samples that lack its modality",
        file="src/ambidex/judge/evaluation.py",
        before="return (logits, self.labels) if here is None else (logits[here], self.labels[here])",
        after="return logits, self.labels",
        caught_by=RUN + "test_the_report_counts_by_pattern",
    ),
]
