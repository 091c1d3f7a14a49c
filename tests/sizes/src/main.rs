//! Prints the sizes on this computer. `./x bench` reads those on a chip from the library's symbols.

#[cfg(not(target_os = "none"))]
fn main() {
    println!("{:>8}  bytes on this computer", "");
    for (what, size) in sizes::all() {
        println!("{size:>8}  {what}");
    }
}
