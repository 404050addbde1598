/// What a device that cuts pictures can do; pictures are u8 [height, width, 3].
package protocol PictureOperators: Sendable {
    /// out[y, x] = ½ + Σₖ source[top + y, first[x] + k] · weights[k, x] · 2⁻²², rounded down and held between 0 and 255, for
    /// each line of out.
    ///
    /// first is i32 [out's width], weights i32 [taps, out's width], taps a multiple of four.
    func resizeAcross(_ source: Tensor, top: Int, first: Tensor, weights: Tensor, out: Tensor)
    /// out[y, x] = ½ + Σₖ source[first[y] + k, x] · weights[k, y] · 2⁻²², rounded down and held between 0 and 255.
    ///
    /// first is i32 [out's height], weights i32 [taps, out's height].
    func resizeDown(_ source: Tensor, first: Tensor, weights: Tensor, out: Tensor)
    /// Copies squares of pictures to out, u8 [n, side, side, 3], black where they reach beyond.
    ///
    /// images, u8 [bytes], holds the pictures; squares is i32 [n, 5]: the byte at which its picture begins, that picture's width and
    /// height, the square's left and top.
    func cutSquares(_ images: Tensor, squares: Tensor, out: Tensor)
}
