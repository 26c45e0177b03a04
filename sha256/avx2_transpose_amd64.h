// A matrix of eight rows of eight words, in Y0 to Y7, is transposed: rows 0 to 3 are in Y8 to
// Y11 then, 4 to 7 in Y0 to Y3, the bytes of each word in the order of Y15. Y4 to Y7 and Y12 to
// Y14 are lost. First come pairs of words, then four words, then whole rows.
#define TRANSPOSEWORDS \
	VPUNPCKLDQ Y1, Y0, Y8         \
	VPUNPCKHDQ Y1, Y0, Y9         \
	VPUNPCKLDQ Y3, Y2, Y10        \
	VPUNPCKHDQ Y3, Y2, Y11        \
	VPUNPCKLDQ Y5, Y4, Y12        \
	VPUNPCKHDQ Y5, Y4, Y13        \
	VPUNPCKLDQ Y7, Y6, Y14        \
	VPUNPCKHDQ Y7, Y6, Y7         \
	VPUNPCKLQDQ Y10, Y8, Y0       \
	VPUNPCKHQDQ Y10, Y8, Y1       \
	VPUNPCKLQDQ Y11, Y9, Y2       \
	VPUNPCKHQDQ Y11, Y9, Y3       \
	VPUNPCKLQDQ Y14, Y12, Y4      \
	VPUNPCKHQDQ Y14, Y12, Y5      \
	VPUNPCKLQDQ Y7, Y13, Y6       \
	VPUNPCKHQDQ Y7, Y13, Y7       \
	VPSHUFB     Y15, Y0, Y0       \
	VPSHUFB     Y15, Y1, Y1       \
	VPSHUFB     Y15, Y2, Y2       \
	VPSHUFB     Y15, Y3, Y3       \
	VPSHUFB     Y15, Y4, Y4       \
	VPSHUFB     Y15, Y5, Y5       \
	VPSHUFB     Y15, Y6, Y6       \
	VPSHUFB     Y15, Y7, Y7       \
	VPERM2I128 $0x20, Y4, Y0, Y8  \
	VPERM2I128 $0x20, Y5, Y1, Y9  \
	VPERM2I128 $0x20, Y6, Y2, Y10 \
	VPERM2I128 $0x20, Y7, Y3, Y11 \
	VPERM2I128 $0x31, Y4, Y0, Y0  \
	VPERM2I128 $0x31, Y5, Y1, Y1  \
	VPERM2I128 $0x31, Y6, Y2, Y2  \
	VPERM2I128 $0x31, Y7, Y3, Y3
