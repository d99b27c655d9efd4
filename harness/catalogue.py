"""Every method of the tree: its name, its family, where it is described, and the experiments that stand for it.

A new method is a line here; docs/methods.md and the tests take it from there. Families, as in arXiv 2303.15647:
additive, selective, reparametrization, hybrid; and what changes the optimizer instead.
"""

from dataclasses import dataclass

ADDITIVE, SELECTIVE, REPARAMETRIZED = "additive", "selective", "reparametrization"
HYBRID, OPTIMIZER = "hybrid", "optimizer"


@dataclass(frozen=True)
class Method:
    """One row of the table.

    title: as people call it. source: an arXiv number or another address, empty for PEFT's documentation. embedded,
    real: experiments of one task, the second None where there is none on Llama-3.2-3B.
    """

    title: str
    family: str
    source: str
    embedded: str
    real: str | None = None

    @property
    def link(self) -> str:
        """The address of the source."""
        if self.source.startswith("https://") or not self.source:
            return self.source or "https://huggingface.co/docs/peft"
        return f"https://arxiv.org/abs/{self.source}"


def _lora(title: str, source: str, name: str, real: str, embedded_rank: str = "rank8") -> Method:
    return Method(
        title, REPARAMETRIZED, source, f"lora/embedded-llama-{embedded_rank}{name}", f"lora/llama-3.2-3B-{real}"
    )


def _entry(title: str, family: str, source: str, folder: str, small: str = "", real: str | None = "") -> Method:
    large = None if real is None else f"{folder}/llama-3.2-3B{real}"
    return Method(title, family, source, f"{folder}/embedded-llama{small}", large)


ENTRIES = (
    _lora("LoRA", "2106.09685", "", "rank32"),
    _lora("rsLoRA", "2312.03732", "-rslora", "rank64-rslora", "rank32"),
    _lora("DoRA", "2402.09353", "-dora", "rank32-dora"),
    _lora("PiSSA", "2404.02948", "-pissa", "rank32-pissa"),
    _lora("OLoRA", "2406.01775", "-olora", "rank32-olora"),
    _lora("EVA", "2410.07170", "-eva", "rank32-eva"),
    _lora("CorDA", "2406.05223", "-corda", "rank32-corda"),
    _lora("LoRA-GA", "2407.05000", "-lora-ga", "rank32-lora-ga"),
    _lora("orthogonal initialization", "https://datta0.github.io/posts/rethink-lora-init",
          "-orthogonal", "rank32-orthogonal"),
    _lora("MiCA", "2604.01694", "-mica", "rank32-mica"),
    _lora("KaSA", "2412.06071", "-kasa", "rank32-kasa"),
    _lora("MonteCLoRA", "2411.04358", "-monteclora", "rank32-monteclora"),
    _lora("VeLoRA", "2405.17991", "-velora", "rank10-mlp-velora"),
    _lora("BD-LoRA", "", "-bdlora", "rank44-bdlora"),
    _lora("LoRA-FA", "2308.03303", "-lorafa", "rank32-lorafa"),
    _lora("LoRA+", "2402.12354", "-loraplus", "rank32-loraplus"),
    _lora("Riemannian LoRA", "2402.02347", "-riemannian", "rank32-riemannian"),
    _lora("LoRA, MLP only", "2106.09685", "-mlp", "rank10-mlp"),
    _lora("QLoRA", "2305.14314", "-qlora", "rank64-qlora"),
    _lora("QLoRA with DoRA", "2402.09353", "-qlora-dora", "rank64-qlora-dora"),
    _lora("LoRA, int8 base", "2208.07339", "-int8", "rank32-int8"),
    _entry("AdaLoRA", REPARAMETRIZED, "2303.10512", "adalora", "", "-rank32"),
    _entry("LoHa", REPARAMETRIZED, "2108.06098", "loha", "", "-rank32"),
    _entry("LoKr", REPARAMETRIZED, "2309.14859", "lokr", "", "-rank32-factor4"),
    _entry("KronA", REPARAMETRIZED, "2212.10650", "lokr", "-qv-krona", None),
    _entry("OFT", REPARAMETRIZED, "2306.07280", "oft", "", "-block32"),
    _entry("BOFT", REPARAMETRIZED, "2311.06243", "boft"),
    _entry("HRA", REPARAMETRIZED, "2405.17484", "hra", "", "-rank32"),
    _entry("PSOFT", REPARAMETRIZED, "https://openreview.net/forum?id=FSHrinMArK", "psoft", "", "-rank256"),
    _entry("VeRA", REPARAMETRIZED, "2310.11454", "vera"),
    _entry("PVeRA", REPARAMETRIZED, "2512.07703", "pvera"),
    _entry("FourierFT", REPARAMETRIZED, "2405.03003", "fourierft"),
    _entry("WaveFT", REPARAMETRIZED, "2505.12532", "waveft", "", "-frequency5000"),
    _entry("VB-LoRA", REPARAMETRIZED, "2405.15179", "vblora"),
    _entry("UniLoRA", REPARAMETRIZED, "2506.00799", "unilora"),
    _entry("TinyLoRA", REPARAMETRIZED, "2602.04118", "tinylora"),
    _entry("MiSS", REPARAMETRIZED, "2409.15371", "miss"),
    _entry("MiSS, bat", REPARAMETRIZED, "2409.15371", "miss", "-bat", "-bat"),
    _entry("RandLoRA", REPARAMETRIZED, "2502.00987", "randlora"),
    _entry("C3A", REPARAMETRIZED, "2407.19342", "c3a"),
    _entry("DeLoRA", REPARAMETRIZED, "2503.18225", "delora", "", "-rank32"),
    _entry("GraLoRA", REPARAMETRIZED, "2505.20355", "gralora", "", "-rank32"),
    _entry("HiRA", REPARAMETRIZED, "https://openreview.net/forum?id=TwJrTz9cRS", "hira", "", "-rank32"),
    _entry("Lily", REPARAMETRIZED, "2407.09946", "lily", "", "-rank896"),
    _entry("FRoD", REPARAMETRIZED, "", "frod"),
    _entry("PEANuT", REPARAMETRIZED, "2410.01870", "peanut", "", "-rank32"),
    _entry("DEFT", REPARAMETRIZED, "", "deft", "", "-rank32"),
    _entry("AdaMSS", REPARAMETRIZED, "", "adamss"),
    _entry("OSF", REPARAMETRIZED, "2504.07097", "osf", "", "-rank128"),
    _entry("GLoRA", HYBRID, "2306.07967", "glora"),
    _entry("IA3", ADDITIVE, "2205.05638", "ia3"),
    _entry("RoAd", ADDITIVE, "2409.00119", "road"),
    _entry("Shadow", ADDITIVE, "", "shadow"),
    _entry("LLaMA-Adapter (adaption prompt)", ADDITIVE, "2303.16199", "adaptionprompt"),
    _entry("prompt tuning", ADDITIVE, "2104.08691", "prompt_tuning", "-tokens20", "-tokens100"),
    _entry("prompt tuning from a text", ADDITIVE, "2104.08691", "prompt_tuning", "-tokens20-text", "-tokens100-text"),
    _entry("prompt tuning from vocabulary", ADDITIVE, "2104.08691", "prompt_tuning", "-tokens20-vocabulary",
           "-tokens100-vocabulary"),
    _entry("P-tuning", ADDITIVE, "2103.10385", "ptuning", "-tokens20", "-tokens20"),
    _entry("prefix tuning", ADDITIVE, "2101.00190", "prefixtuning", "-tokens20", "-tokens100"),
    _entry("prefix tuning from a text", ADDITIVE, "2101.00190", "prefixtuning", "-tokens20-text", "-tokens50-text"),
    _entry("Cartridge", ADDITIVE, "2506.06266", "cartridge", "-tokens20", "-tokens50"),
    _entry("CPT", ADDITIVE, "2410.17222", "cpt", "-rows2", "-rows2"),
    _entry("Houlsby adapters", ADDITIVE, "1902.00751", "houlsby", "", None),
    _entry("Pfeiffer adapters", ADDITIVE, "2005.00247", "pfeiffer", "", None),
    _entry("scaled parallel adapters", ADDITIVE, "2110.04366", "parallel_adapter", "", None),
    _entry("Compacter", ADDITIVE, "2106.04647", "compacter", "", None),
    _entry("Compacter++", ADDITIVE, "2106.04647", "compacter_plus_plus", "", None),
    _entry("prefix tuning, all stacks", ADDITIVE, "2101.00190", "prefix_stacks", "-tokens20", None),
    _entry("prefix tuning, all stacks, MLP", ADDITIVE, "2101.00190", "prefix_stacks", "-tokens20-mlp512", None),
    _entry("MAM adapters", HYBRID, "2110.04366", "mam", "", None),
    _entry("UniPELT", HYBRID, "2110.07577", "unipelt", "", None),
    _entry("LN tuning", SELECTIVE, "2312.11420", "ln_tuning"),
    _entry("BEFT", SELECTIVE, "2509.15974", "beft"),
    _entry("SHiRA", SELECTIVE, "2406.13175", "shira"),
    _entry("Super-Tuning", SELECTIVE, "2607.09287", "supertuning"),
    _entry("trainable tokens", SELECTIVE, "", "trainable_tokens"),
    _entry("full fine-tuning", OPTIMIZER, "2303.15647", "full-finetuning"),
    _entry("GaLore", OPTIMIZER, "2403.03507", "galore", "-rank48", "-rank256"),
    _entry("LISA", OPTIMIZER, "2403.17919", "lisa", "-layers2", "-layers2"),
)  # fmt: skip
# Where a method has no experiment on T5 though it could be attached, or cannot be, and why.
WITHOUT_T5 = {
    "adalora": "its schedule needs one number of steps, and the subsets' epochs have several",
    "adaptionprompt": "PEFT has it for Llama, Mistral and GPT-2",
    "cpt": "PEFT has it for causal models",
    "shadow": "PEFT's mirror of the base model is for causal models",
}
