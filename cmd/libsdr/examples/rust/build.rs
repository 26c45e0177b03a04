// Links libsdr.so, which LIBSDR names the directory of, and finds it there at run time, too.
fn main() {
    println!("cargo:rerun-if-env-changed=LIBSDR");
    let dir = std::env::var("LIBSDR").expect("LIBSDR: the directory of libsdr.so");
    println!("cargo:rustc-link-search=native={dir}");
    println!("cargo:rustc-link-lib=dylib=sdr");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{dir}");
}
