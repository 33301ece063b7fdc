//go:build !purego

#include "textflag.h"

// SHA-256 (FIPS 180-4) of 16 leaves side by side: a register has one word of each.
// Z0 to Z7 are the state, Z24 to Z31 are free for what comes between.

// SIGMA sets D to X rotated by i, by j, and rotated or shifted by k, added without carry.
#define SIGMA(op, i, j, k, X, D) \
	VPRORD     $i, X, D; \
	VPRORD     $j, X, Z30; \
	op         $k, X, Z31; \
	VPTERNLOGD $0x96, Z31, Z30, D

// ROUND is one round, with its constant k bytes from AX on. Whose register is which letter
// turns from round to round, and nothing is moved.
#define ROUND(k, W, A, B, C, D, E, F, G, H) \
	VPADDD      W, H, H; \
	VPADDD.BCST k(AX), H, H; \
	SIGMA(VPRORD, 6, 11, 25, E, Z24); \
	VMOVDQA32   E, Z25; \
	VPTERNLOGD  $0xca, G, F, Z25; \
	VPADDD      Z24, H, H; \
	VPADDD      Z25, H, H; \
	VPADDD      H, D, D; \
	SIGMA(VPRORD, 2, 13, 22, A, Z26); \
	VMOVDQA32   A, Z27; \
	VPTERNLOGD  $0xe8, C, B, Z27; \
	VPADDD      Z26, Z27, Z27; \
	VPADDD      Z27, H, H

// NEXT puts the word of the schedule that comes 16 after X0 in its place.
#define NEXT(X0, X1, X9, X14) \
	SIGMA(VPSRLD, 7, 18, 3, X1, Z28); \
	SIGMA(VPSRLD, 17, 19, 10, X14, Z29); \
	VPADDD X9, X0, X0; \
	VPADDD Z28, Z29, Z28; \
	VPADDD Z28, X0, X0

// W0 to W15 are words of the schedule, once they are turned over.
#define W0 Z19
#define W1 Z23
#define W2 Z15
#define W3 Z17
#define W4 Z22
#define W5 Z11
#define W6 Z13
#define W7 Z14
#define W8 Z21
#define W9 Z12
#define W10 Z9
#define W11 Z10
#define W12 Z16
#define W13 Z18
#define W14 Z20
#define W15 Z8

// WITH is a round that makes a word of the schedule, WITHOUT one that does not.
#define WITH(k, X0, X1, X9, X14, A, B, C, D, E, F, G, H) \
	ROUND(k, X0, A, B, C, D, E, F, G, H); \
	NEXT(X0, X1, X9, X14)
#define WITHOUT(k, X0, X1, X9, X14, A, B, C, D, E, F, G, H) ROUND(k, X0, A, B, C, D, E, F, G, H)

// SIXTEEN rounds have each letter where it was.
#define SIXTEEN(STEP) \
	STEP(0, W0, W1, W9, W14, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7); \
	STEP(4, W1, W2, W10, W15, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6); \
	STEP(8, W2, W3, W11, W0, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5); \
	STEP(12, W3, W4, W12, W1, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4); \
	STEP(16, W4, W5, W13, W2, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3); \
	STEP(20, W5, W6, W14, W3, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2); \
	STEP(24, W6, W7, W15, W4, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1); \
	STEP(28, W7, W8, W0, W5, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0); \
	STEP(32, W8, W9, W1, W6, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7); \
	STEP(36, W9, W10, W2, W7, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6); \
	STEP(40, W10, W11, W3, W8, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5); \
	STEP(44, W11, W12, W4, W9, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4); \
	STEP(48, W12, W13, W5, W10, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3); \
	STEP(52, W13, W14, W6, W11, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2); \
	STEP(56, W14, W15, W7, W12, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1); \
	STEP(60, W15, W0, W8, W13, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0)

// LOAD reads a block of leaf i.
#define LOAD(i, W) \
	MOVQ      (8*i)(SI), R8; \
	VMOVDQU32 (R8)(CX*1), W; \
	VPSHUFB   Z24, W, W

// WORDS, PAIRS and QUARTERS take X and Y apart and put them together again: the first
// half of it in T, the second in X. Y is free then.
#define WORDS(X, Y, T) \
	VPUNPCKLDQ Y, X, T; \
	VPUNPCKHDQ Y, X, X

#define PAIRS(X, Y, T) \
	VPUNPCKLQDQ Y, X, T; \
	VPUNPCKHQDQ Y, X, X

#define QUARTERS(X, Y, T) \
	VSHUFI32X4 $0x88, Y, X, T; \
	VSHUFI32X4 $0xdd, Y, X, X

// func sum16(state *[8][16]uint32, leaves *[16]*[4096]byte)
TEXT ·sum16(SB), 0, $512-16
	MOVQ state+0(FP), DI
	MOVQ leaves+8(FP), SI
	LEAQ start<>(SB), AX
	XORQ CX, CX          // bytes of each leaf that are done

	VPBROADCASTD 0(AX), Z0
	VPBROADCASTD 4(AX), Z1
	VPBROADCASTD 8(AX), Z2
	VPBROADCASTD 12(AX), Z3
	VPBROADCASTD 16(AX), Z4
	VPBROADCASTD 20(AX), Z5
	VPBROADCASTD 24(AX), Z6
	VPBROADCASTD 28(AX), Z7

block:
	VMOVDQU32 Z0, 0(SP)
	VMOVDQU32 Z1, 64(SP)
	VMOVDQU32 Z2, 128(SP)
	VMOVDQU32 Z3, 192(SP)
	VMOVDQU32 Z4, 256(SP)
	VMOVDQU32 Z5, 320(SP)
	VMOVDQU32 Z6, 384(SP)
	VMOVDQU32 Z7, 448(SP)
	CMPQ CX, $4096
	JEQ  padding

	// A block of each leaf, its words in the order of the machine.
	VBROADCASTI32X4 swap<>(SB), Z24
	LOAD(0, Z8)
	LOAD(1, Z9)
	LOAD(2, Z10)
	LOAD(3, Z11)
	LOAD(4, Z12)
	LOAD(5, Z13)
	LOAD(6, Z14)
	LOAD(7, Z15)
	LOAD(8, Z16)
	LOAD(9, Z17)
	LOAD(10, Z18)
	LOAD(11, Z19)
	LOAD(12, Z20)
	LOAD(13, Z21)
	LOAD(14, Z22)
	LOAD(15, Z23)

	// Turned over: a word of each leaf. First words within quarters, then quarters.
	WORDS(Z8, Z9, Z24)
	WORDS(Z10, Z11, Z25)
	PAIRS(Z24, Z25, Z26)
	PAIRS(Z8, Z10, Z27)
	WORDS(Z12, Z13, Z9)
	WORDS(Z14, Z15, Z11)
	PAIRS(Z9, Z11, Z25)
	PAIRS(Z12, Z14, Z10)
	WORDS(Z16, Z17, Z13)
	WORDS(Z18, Z19, Z15)
	PAIRS(Z13, Z15, Z11)
	PAIRS(Z16, Z18, Z14)
	WORDS(Z20, Z21, Z17)
	WORDS(Z22, Z23, Z19)
	PAIRS(Z17, Z19, Z15)
	PAIRS(Z20, Z22, Z18)
	QUARTERS(Z26, Z25, Z21)
	QUARTERS(Z11, Z15, Z23)
	QUARTERS(Z21, Z23, Z19)
	QUARTERS(Z26, Z11, Z22)
	QUARTERS(Z24, Z9, Z25)
	QUARTERS(Z13, Z17, Z15)
	QUARTERS(Z25, Z15, Z23)
	QUARTERS(Z24, Z13, Z11)
	QUARTERS(Z27, Z10, Z9)
	QUARTERS(Z14, Z18, Z17)
	QUARTERS(Z9, Z17, Z15)
	QUARTERS(Z27, Z14, Z13)
	QUARTERS(Z8, Z12, Z10)
	QUARTERS(Z16, Z20, Z18)
	QUARTERS(Z10, Z18, Z17)
	QUARTERS(Z8, Z16, Z14)
	VMOVDQA32 Z25, Z12
	VMOVDQA32 Z26, Z16
	VMOVDQA32 Z24, Z18
	VMOVDQA32 Z27, Z20

rounds:
	LEAQ constants<>(SB), AX
	LEAQ 192(AX), BX

schedule:
	SIXTEEN(WITH)
	ADDQ $64, AX
	CMPQ AX, BX
	JNE  schedule
	SIXTEEN(WITHOUT)

	VPADDD 0(SP), Z0, Z0
	VPADDD 64(SP), Z1, Z1
	VPADDD 128(SP), Z2, Z2
	VPADDD 192(SP), Z3, Z3
	VPADDD 256(SP), Z4, Z4
	VPADDD 320(SP), Z5, Z5
	VPADDD 384(SP), Z6, Z6
	VPADDD 448(SP), Z7, Z7
	ADDQ $64, CX
	CMPQ CX, $4096
	JLE  block

	VMOVDQU32 Z0, 0(DI)
	VMOVDQU32 Z1, 64(DI)
	VMOVDQU32 Z2, 128(DI)
	VMOVDQU32 Z3, 192(DI)
	VMOVDQU32 Z4, 256(DI)
	VMOVDQU32 Z5, 320(DI)
	VMOVDQU32 Z6, 384(DI)
	VMOVDQU32 Z7, 448(DI)
	VZEROUPPER
	RET

	// What follows 4,096 bytes: a bit, zeros, and 32,768 bits (section 5.1.1).
padding:
	VPBROADCASTD bits<>+0(SB), W0
	VPBROADCASTD bits<>+4(SB), W15
	VPXORD W1, W1, W1
	VPXORD W2, W2, W2
	VPXORD W3, W3, W3
	VPXORD W4, W4, W4
	VPXORD W5, W5, W5
	VPXORD W6, W6, W6
	VPXORD W7, W7, W7
	VPXORD W8, W8, W8
	VPXORD W9, W9, W9
	VPXORD W10, W10, W10
	VPXORD W11, W11, W11
	VPXORD W12, W12, W12
	VPXORD W13, W13, W13
	VPXORD W14, W14, W14
	JMP  rounds

// The constants of the rounds (section 4.2.2).
DATA constants<>+0(SB)/8, $0x71374491428a2f98
DATA constants<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA constants<>+16(SB)/8, $0x59f111f13956c25b
DATA constants<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA constants<>+32(SB)/8, $0x12835b01d807aa98
DATA constants<>+40(SB)/8, $0x550c7dc3243185be
DATA constants<>+48(SB)/8, $0x80deb1fe72be5d74
DATA constants<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA constants<>+64(SB)/8, $0xefbe4786e49b69c1
DATA constants<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA constants<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA constants<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA constants<>+96(SB)/8, $0xa831c66d983e5152
DATA constants<>+104(SB)/8, $0xbf597fc7b00327c8
DATA constants<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA constants<>+120(SB)/8, $0x1429296706ca6351
DATA constants<>+128(SB)/8, $0x2e1b213827b70a85
DATA constants<>+136(SB)/8, $0x53380d134d2c6dfc
DATA constants<>+144(SB)/8, $0x766a0abb650a7354
DATA constants<>+152(SB)/8, $0x92722c8581c2c92e
DATA constants<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA constants<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA constants<>+176(SB)/8, $0xd6990624d192e819
DATA constants<>+184(SB)/8, $0x106aa070f40e3585
DATA constants<>+192(SB)/8, $0x1e376c0819a4c116
DATA constants<>+200(SB)/8, $0x34b0bcb52748774c
DATA constants<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA constants<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA constants<>+224(SB)/8, $0x78a5636f748f82ee
DATA constants<>+232(SB)/8, $0x8cc7020884c87814
DATA constants<>+240(SB)/8, $0xa4506ceb90befffa
DATA constants<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL constants<>(SB), RODATA|NOPTR, $256

// The state at the start (section 5.3.3).
DATA start<>+0(SB)/8, $0xbb67ae856a09e667
DATA start<>+8(SB)/8, $0xa54ff53a3c6ef372
DATA start<>+16(SB)/8, $0x9b05688c510e527f
DATA start<>+24(SB)/8, $0x5be0cd191f83d9ab
GLOBL start<>(SB), RODATA|NOPTR, $32

// Bytes come in the order of the network.
DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// The words of the padding that are not zero.
DATA bits<>+0(SB)/8, $0x0000800080000000
GLOBL bits<>(SB), RODATA|NOPTR, $8
