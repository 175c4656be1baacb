//! Migrations are embedded by a macro, and cargo cannot see which files a macro reads.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
