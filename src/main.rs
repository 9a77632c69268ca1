fn main() {
    lockkeeper::run()
}
