//! The kind of number in which the convolutions of a training step compute, f32 or bf16, and their order in memory. Everything
//! that is summed or kept is f32 in either case: parameters, statistics, losses, gradients of parameters, the optimiser's moments.

use tch::{Device, Kind};

/// bf16 on CUDA and on processors with bf16 multiplication, where it is about twice as fast as f32; else f32.
pub fn suits(device: Device) -> Kind {
    if device.is_cuda() || cpu_has_bf16() { Kind::BFloat16 } else { Kind::Float }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_has_bf16() -> bool {
    false
}

/// Whether convolutions and their gradients together are faster with channels last in memory. They are on CUDA, and in oneDNN
/// with AVX-512 (level 1 of the laptop recipe, f32: 0.6 of the time), but not with AVX2 (1.2 times), where only the forward pass
/// is faster.
pub fn gradients_like_channels_last(device: Device) -> bool {
    #[cfg(target_arch = "x86_64")]
    let cpu = std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let cpu = false;
    device.is_cuda() || cpu
}

/// The name in checkpoints, reports and on the command line.
pub fn name(kind: Kind) -> &'static str {
    if kind == Kind::BFloat16 { "bf16" } else { "f32" }
}

/// The kind with this name, the inverse of [`name`].
pub fn named(name: &str) -> Option<Kind> {
    [Kind::Float, Kind::BFloat16].into_iter().find(|kind| self::name(*kind) == name)
}
