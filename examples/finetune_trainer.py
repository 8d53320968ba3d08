"""
Fine-tune EmoLlama with the stock `Trainer`, step by step:

    python examples/finetune_trainer.py TRAIN EVAL OUTPUT

TRAIN and EVAL are folders with one folder of pictures for each emotion, or tables (CSV, Parquet) such as FER2013's.
"""

import sys

from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainingArguments

from emo_llama_hf import default_model
from emo_llama_hf.data import Records
from emo_llama_hf.evaluation import EmoLlamaPredictor, evaluate
from emo_llama_hf.training import EmoLlamaDataCollator, EmotionDataset, make_trainable, samples_of

train_data, eval_data, output = sys.argv[1:]

# %% The model, and a processor that takes a whole picture for a face where it finds none, as in FER2013's tight crops.
processor = AutoProcessor.from_pretrained(default_model(), missing_face="full_frame")
model = AutoModelForImageTextToText.from_pretrained(default_model(), dtype="float32")
labels = model.config.emotion_labels

# %% Data: every picture becomes a chat, the question which emotion it is and the answer.
train_samples = samples_of(Records(train_data), labels)
eval_samples = samples_of(Records(eval_data), labels)
print(train_samples[0]["messages"])

# %% What learns: LoRA on the language model, Face Info Mining and the projector.
model = make_trainable(model, parts=["face_info_mining", "projector"], lora_rank=16)
model.print_trainable_parameters()

# %% Training.
arguments = TrainingArguments(
    output,
    remove_unused_columns=False,  # a sample's keys are no model inputs: the collator makes those
    per_device_train_batch_size=32,
    learning_rate=1e-3,
    num_train_epochs=2,
    logging_steps=10,
    save_strategy="no",
    report_to=[],
)
trainer = Trainer(
    model,
    arguments,
    train_dataset=EmotionDataset(train_samples, processor),
    data_collator=EmoLlamaDataCollator(processor),
    processing_class=processor,
)
trainer.train()
trainer.save_model()

# %% Evaluation: the answer in words, and the likeliest label.
predictor = EmoLlamaPredictor(trainer.model.merge_and_unload().eval(), processor, labels, max_new_tokens=8)
report = evaluate(predictor, eval_samples, processor, f"{output}/evaluation")
for protocol in ("generation", "likelihood"):
    print(protocol, f"UAR {report[protocol]['uar']:.1%}, chance {1 / len(report[protocol]['recall']):.1%}")
