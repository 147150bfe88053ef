"""Curves under our EarlyStoppingCallback, with the one of transformers beside it."""

import json
import sys
from pathlib import Path

import torch
from adapted import tell
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers import EarlyStoppingCallback as Theirs

from trainjobs.adapters.huggingface import EarlyStoppingCallback

CONFIG = BertConfig(
    vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, num_labels=2
)
ROWS = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(row % 2)} for row in range(8)]


class Beside(Theirs):
    """The one of transformers, which says where it would stop and lets ours do it."""

    stopped_at = None

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        before = control.should_training_stop
        super().on_evaluate(args, state, control, metrics, **kwargs)
        if control.should_training_stop and self.stopped_at is None:
            self.stopped_at = state.global_step
        control.should_training_stop = before


def scripted(curve):
    values = iter(curve)
    return lambda _: {"value": next(values)}


def main():
    answers = {}
    for name, (curve, arguments) in json.loads(Path(sys.argv[1]).read_text()).items():
        threshold, patience = arguments.get("min_delta", 0.0), arguments["patience"]
        theirs = Beside(patience, threshold)
        ours = EarlyStoppingCallback(patience, threshold, run_dir=f"runs/{name}")
        trainer = Trainer(
            BertForSequenceClassification(CONFIG),
            TrainingArguments(
                "checkpoints",
                num_train_epochs=len(curve),
                per_device_train_batch_size=4,
                eval_strategy="epoch",
                save_strategy="no",
                metric_for_best_model="value",
                greater_is_better=arguments.get("mode") == "max",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
                logging_strategy="no",
            ),
            train_dataset=ROWS,
            eval_dataset=ROWS[:2],
            compute_metrics=scripted(curve),
            callbacks=[theirs, ours],
        )
        trainer.train()
        answers[name] = {"theirs": theirs.stopped_at or len(curve), "ours": trainer.state.global_step}
    tell(trainer.args.process_index, answers)


main()
