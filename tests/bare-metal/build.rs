//! The linker script, for the chip only.

fn main() {
    let chip = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=memory.x");
    if chip {
        println!("cargo::rustc-link-search={here}");
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
    }
}
