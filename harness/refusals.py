"""What PEFT ships and an experiment cannot use here, each with its reason; torch-free, read by messages and tables."""

# Methods that have nothing to do with one task.
METHODS = {
    "XLORA": "mixes LoRA adapters that were trained before, and one task gives only one",
    "POLY": "mixes skills of several tasks, and here is one",
    "MULTITASK_PROMPT_TUNING": "shares a prompt between several tasks, and here is one",
}
# Fields that name a method of their own, with the values that stay harmless.
FIELDS: dict[str, tuple[tuple, str]] = {
    "arrow_config": ((None,), "Arrow routes between adapters that were trained before, and one task gives only one"),
    "alora_invocation_tokens": (
        (None,),
        "aLoRA waits for tokens that invoke it in the middle of a text; on one task every prompt invokes it",
    ),
    "use_qalora": ((False,), "without a GPTQ base, which is not offered, it is plain LoRA under another name"),
}  # fmt: skip
# Variants of LoRA that PEFT silently leaves out of the layers of a quantized base.
LOST_ON_QUANTIZED = ("kasa_config", "monteclora_config", "use_bdlora")
LOFTQ = "PEFT computes LoftQ on a CUDA device, and there is none here"
# Made from training rows, so that a folder cannot say them.
MADE_HERE = {
    "cpt_token_ids": "CPT",
    "cpt_mask": "CPT",
    "cpt_tokens_type_mask": "CPT",
}
# Method names and keys that the installed PEFT does not know, and the version that does.
OTHER_VERSIONS = {
    "BONE": "PEFT up to 0.18 (now MISS)",
    "EWORA": "a PEFT later than 0.21",
    "FINEGATES": "a PEFT later than 0.21",
    "PACA": "a PEFT later than 0.21",
    "astra_config": "a PEFT later than 0.21",
}
