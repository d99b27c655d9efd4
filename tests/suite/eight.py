"""Eight runs on one task, however many experiments there will be: whole names."""

SOME = [
    "full-finetuning/embedded-llama", "lora/embedded-llama-rank8", "lora/embedded-llama-rank8-dora",
    "lora/embedded-llama-rank32-rslora", "ia3/embedded-llama", "ln_tuning/embedded-llama",
    "prefixtuning/embedded-llama-tokens20", "prompt_tuning/embedded-llama-tokens20",
]  # fmt: skip
