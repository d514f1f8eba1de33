"""What memcached 1.6.18 answers: bytes that are sent to it, and all that it says.

A script begins with ``>``; what it is answered with begins with ``<``. ``{250}`` stands for a
key of that many letters. Each script is for a cache in which there is none of its keys.
"""

import re

_TEXT = r"""
> \r\n
< ERROR\r\n
> \n
< ERROR\r\n
>  \r\n
< ERROR\r\n
> foo\r\n
< ERROR\r\n
> GET a\r\n
< ERROR\r\n
> get\r\n
< ERROR\r\n
> get \r\n
< ERROR\r\n
> get a\r\n
< END\r\n
> get  a   b \r\n
< END\r\n
>   get a\r\n
< END\r\n
> get\ta\r\n
< ERROR\r\n
> get a\tb\r\n
< END\r\n
> get a\r\r\n
< END\r\n
> get a\n
< END\r\n
> get {250}\r\n
< END\r\n
> get {251}\r\n
< CLIENT_ERROR bad command line format\r\n
> get a {251} b\r\n
< CLIENT_ERROR bad command line format\r\n
> set {251} 0 0 3\r\nabc\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\n
> set {251} 0 0 3 noreply\r\nabc\r\nversion\r\n
< ERROR\r\nVERSION\r\n
> set a 0 0 3\r\nabc\r\nget a\r\n
< STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n
> set a 0 0 3\nabc\r\nget a\r\n
< STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n
> set a 0 0 3\r\nabc\nget a\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\n
> set a 0 0 3\r\nabcd\r\nget a\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n
> set a 0 0 3\r\nabcde\r\nget a\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n
> set a 0 0 3\r\nabcdefghijk\r\nget a\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n
> set a 0 0 3\r\nab\r\nget a\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\n
> set a 0 0 3\r\na\r\nget a\r\nversion\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\nVERSION\r\n
> set a 0 0 3\r\nabcX\nget a\r\nversion\r\n
< CLIENT_ERROR bad data chunk\r\nEND\r\nVERSION\r\n
> set a 0 0 3 noreply\r\nabcdefghijk\r\nget a\r\n
< ERROR\r\nEND\r\n
> set a 0 0 -1\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a 0 0 -2\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a 0 0 x\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a 0 0 3x\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a x 0 3\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a -1 0 3\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a 4294967295 0 3\r\nabc\r\nget a\r\n
< STORED\r\nVALUE a 4294967295 3\r\nabc\r\nEND\r\n
> set a 4294967296 0 3\r\nabc\r\nget a\r\n
< STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n
> set a 0 x 3\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> set a 0 99999999999 3\r\nabc\r\nget a\r\n
< STORED\r\nEND\r\n
> set a 0 -1 3\r\nabc\r\nget a\r\n
< STORED\r\nEND\r\n
> set a +5 +5 +3\r\nabc\r\nget a\r\n
< STORED\r\nVALUE a 5 3\r\nabc\r\nEND\r\n
> set a 05 05 03\r\nabc\r\nget a\r\n
< STORED\r\nVALUE a 5 3\r\nabc\r\nEND\r\n
> set a 0x5 0 3\r\nabc\r\nget a\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nEND\r\n
> set a 0 0\r\nabc\r\nversion\r\n
< ERROR\r\nERROR\r\nVERSION\r\n
> set a 0 0 3 4\r\nabc\r\nget a\r\n
< STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n
> set a 0 0 3 noreply x\r\nabc\r\nget a\r\n
< ERROR\r\nERROR\r\nEND\r\n
> set a 0 0 3 NOREPLY\r\nxyz\r\nget a\r\n
< STORED\r\nVALUE a 0 3\r\nxyz\r\nEND\r\n
> set a 0 0 3 x noreply\r\nabc\r\nget a\r\n
< ERROR\r\nERROR\r\nEND\r\n
> set\r\nversion\r\n
< ERROR\r\nVERSION\r\n
> set a\r\nversion\r\n
< ERROR\r\nVERSION\r\n
> set noreply\r\nversion\r\n
< ERROR\r\nVERSION\r\n
> set a b noreply\r\nversion\r\n
< ERROR\r\nVERSION\r\n
> set a 0 0 3 noreply\r\nabc\r\nget a\r\n
< VALUE a 0 3\r\nabc\r\nEND\r\n
> set a 0 0 0\r\n\r\nget a\r\n
< STORED\r\nVALUE a 0 0\r\n\r\nEND\r\n
> set a 0 0 99999999999\r\nversion\r\n
<
> set a 0 0 2147483647\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nVERSION\r\n
> set a 0 0 2147483648\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nVERSION\r\n
> set a 0 0 4294967297\r\nx\r\nversion\r\n
< STORED\r\nVERSION\r\n
> set a 0 0 2147483640\r\nversion\r\n
<
> cas a 0 0 3\r\nabc\r\nversion\r\n
< ERROR\r\nERROR\r\nVERSION\r\n
> cas a 0 0 3 1\r\nabc\r\nget a\r\n
< NOT_FOUND\r\nEND\r\n
> cas nope 0 0 3 1\r\nabc\r\n
< NOT_FOUND\r\n
> cas a 0 0 3 x\r\nabc\r\nget a\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nEND\r\n
> cas a 0 0 3 -1\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> cas a 0 0 3 1 noreply\r\nabc\r\nversion\r\n
< VERSION\r\n
> cas a 0 0 3 1 foo\r\nabc\r\nversion\r\n
< NOT_FOUND\r\nVERSION\r\n
> cas a 0 0 3 18446744073709551616\r\nabc\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nVERSION\r\n
> cas a 0 0 3 1 2 3\r\nabc\r\nversion\r\n
< ERROR\r\nERROR\r\nVERSION\r\n
> incr\r\n
< ERROR\r\n
> incr n\r\n
< ERROR\r\n
> incr nope 1\r\n
< NOT_FOUND\r\n
> incr nope x\r\n
< CLIENT_ERROR invalid numeric delta argument\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n 3\r\nget n\r\n
< 8\r\nVALUE n 7 1\r\n8\r\nEND\r\n
> set n 7 0 3 noreply\r\nabc\r\nincr n 3\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n x\r\n
< CLIENT_ERROR invalid numeric delta argument\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n -1\r\n
< CLIENT_ERROR invalid numeric delta argument\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n 18446744073709551615\r\nget n\r\n
< 4\r\nVALUE n 7 1\r\n4\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n 18446744073709551616\r\n
< CLIENT_ERROR invalid numeric delta argument\r\n
> set n 7 0 20 noreply\r\n18446744073709551615\r\nincr n 1\r\nget n\r\n
< 0\r\nVALUE n 7 20\r\n0                   \r\nEND\r\n
> set n 7 0 20 noreply\r\n18446744073709551616\r\nincr n 1\r\nget n\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\nVALUE n 7 20\r\n
< 18446744073709551616\r\nEND\r\n
> set n 7 0 2 noreply\r\n10\r\ndecr n 1\r\nget n\r\n
< 9\r\nVALUE n 7 2\r\n9 \r\nEND\r\n
> set n 7 0 2 noreply\r\n10\r\ndecr n 11\r\nget n\r\n
< 0\r\nVALUE n 7 2\r\n0 \r\nEND\r\n
> set n 7 0 3 noreply\r\n100\r\ndecr n 99\r\nget n\r\nincr n 5\r\nget n\r\nincr n 99\r\n
> get n\r\nincr n 1000\r\nget n\r\n
< 1\r\nVALUE n 7 3\r\n1  \r\nEND\r\n6\r\nVALUE n 7 3\r\n6  \r\nEND\r\n105\r\nVALUE n 7 3\r\n
< 105\r\nEND\r\n1105\r\nVALUE n 7 4\r\n1105\r\nEND\r\n
> set n 7 0 2 noreply\r\n5 \r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 2\r\n6 \r\nEND\r\n
> set n 7 0 2 noreply\r\n5x\r\nincr n 1\r\nget n\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\nVALUE n 7 2\r\n5x\r\nEND\r\n
> set n 7 0 2 noreply\r\n 5\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 2\r\n6 \r\nEND\r\n
> set n 7 0 2 noreply\r\n-5\r\nincr n 1\r\nget n\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\nVALUE n 7 2\r\n-5\r\nEND\r\n
> set n 7 0 2 noreply\r\n+5\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 2\r\n6 \r\nEND\r\n
> set n 7 0 0 noreply\r\n\r\nincr n 1\r\nget n\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\nVALUE n 7 0\r\n\r\nEND\r\n
> set n 7 0 4 noreply\r\n5\r\n3\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 4\r\n6   \r\nEND\r\n
> set n 7 0 27 noreply\r\n000000000000000000000000005\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 27\r\n6                          \r\nEND\r\n
> set n 7 0 19 noreply\r\n0000000000000000005\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 19\r\n6                  \r\nEND\r\n
> set n 7 0 25 noreply\r\n9999999999999999999999999\r\nincr n 1\r\nget n\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\nVALUE n 7 25\r\n
< 9999999999999999999999999\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n 1 noreply\r\nget n\r\n
< VALUE n 7 1\r\n6\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n 1 foo\r\nget n\r\n
< 6\r\nVALUE n 7 1\r\n6\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n 1 2 3\r\nget n\r\n
< ERROR\r\nVALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n x noreply\r\nincr n 1\r\n
< 6\r\n
> set n 7 0 3 noreply\r\nabc\r\nincr n 1 noreply\r\nget n\r\n
< VALUE n 7 3\r\nabc\r\nEND\r\n
> incr {251} 1\r\n
< CLIENT_ERROR bad command line format\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n \r\n
< ERROR\r\n
> set n 7 0 2 noreply\r\n5\x00\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 2\r\n6 \r\nEND\r\n
> set n 7 0 3 noreply\r\n5\x0b6\r\nincr n 1\r\nget n\r\n
< 6\r\nVALUE n 7 3\r\n6  \r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n noreply\r\nget n\r\n
< VALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\nincr n -18446744073709551615\r\n
< 6\r\n
> set n 7 0 1 noreply\r\n5\r\ndecr n 1\r\nincr n +1\r\nincr n 01\r\n
< 4\r\n5\r\n6\r\n
> set n 7 0 19 noreply\r\n1111111111111111111\r\nincr n 1\r\n
< 1111111111111111112\r\n
> set n 7 0 20 noreply\r\n11111111111111111111\r\nincr n 1\r\n
< 11111111111111111112\r\n
> set n 7 0 21 noreply\r\n111111111111111111111\r\nincr n 1\r\n
< CLIENT_ERROR cannot increment or decrement non-numeric value\r\n
> delete\r\n
< ERROR\r\n
> delete a 0\r\n
< NOT_FOUND\r\n
> set n 7 0 1 noreply\r\n5\r\ndelete n 0\r\nget n\r\n
< DELETED\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ndelete n 1\r\nget n\r\n
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\nVALUE n 7 1\r\n5\r\n
< END\r\n
> set n 7 0 1 noreply\r\n5\r\ndelete n noreply\r\nget n\r\n
< END\r\n
> set n 7 0 1 noreply\r\n5\r\ndelete n 0 noreply\r\nget n\r\n
< END\r\n
> set n 7 0 1 noreply\r\n5\r\ndelete n 1 noreply\r\nget n\r\n
< VALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ndelete n\r\ndelete n\r\n
< DELETED\r\nNOT_FOUND\r\n
> delete n 0 0 noreply\r\n
< ERROR\r\n
> delete n 0 foo\r\n
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n
> delete {251}\r\n
< CLIENT_ERROR bad command line format\r\n
> delete noreply\r\n
< NOT_FOUND\r\n
> delete noreply noreply\r\n
<
> delete n x\r\n
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n
> delete n 00\r\n
< CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n
> touch\r\n
< ERROR\r\n
> touch n\r\n
< ERROR\r\n
> touch nope 0\r\n
< NOT_FOUND\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n 0\r\nget n\r\n
< TOUCHED\r\nVALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n -1\r\nget n\r\n
< TOUCHED\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n x\r\nget n\r\n
< CLIENT_ERROR invalid exptime argument\r\nVALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n 0 noreply\r\nget n\r\n
< VALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n 0 foo\r\n
< TOUCHED\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n 0 1 2\r\n
< ERROR\r\n
> touch {251} 1\r\n
< CLIENT_ERROR bad command line format\r\n
> set n 7 0 1 noreply\r\n5\r\ntouch n x noreply\r\nget n\r\n
< VALUE n 7 1\r\n5\r\nEND\r\n
> gat\r\n
< ERROR\r\n
> gat 0\r\n
< END\r\n
> set n 7 0 1 noreply\r\n5\r\ngat 0 n\r\n
< VALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ngat 0 n nope n\r\n
< VALUE n 7 1\r\n5\r\nVALUE n 7 1\r\n5\r\nEND\r\n
> set n 7 0 1 noreply\r\n5\r\ngat -1 n\r\nget n\r\n
< VALUE n 7 1\r\n5\r\nEND\r\nEND\r\n
> gat x n\r\n
< CLIENT_ERROR invalid exptime argument\r\n
> gat n\r\n
< CLIENT_ERROR invalid exptime argument\r\n
> set n 7 0 1 noreply\r\n5\r\ngat 0 {251}\r\n
< CLIENT_ERROR bad command line format\r\n
> gats 0 nope\r\n
< END\r\n
> gats\r\n
< ERROR\r\n
> gat 0 n n n noreply\r\n
< END\r\n
> flush_all\r\n
< OK\r\n
> flush_all 0\r\n
< OK\r\n
> flush_all x\r\n
< CLIENT_ERROR invalid exptime argument\r\n
> flush_all noreply\r\nversion\r\n
< VERSION\r\n
> flush_all 0 noreply\r\nversion\r\n
< VERSION\r\n
> flush_all x noreply\r\nversion\r\n
< VERSION\r\n
> flush_all 0 0\r\n
< OK\r\n
> flush_all 0 foo\r\n
< OK\r\n
> flush_all 0 noreply x\r\n
< ERROR\r\n
> flush_all -1\r\nversion\r\n
< OK\r\nVERSION\r\n
> set n 7 0 1 noreply\r\n5\r\nflush_all -1\r\nget n\r\n
< OK\r\nEND\r\n
> verbosity\r\n
< ERROR\r\n
> verbosity 1\r\n
< OK\r\n
> verbosity 0\r\n
< OK\r\n
> verbosity x\r\n
< CLIENT_ERROR bad command line format\r\n
> verbosity 0 noreply\r\nversion\r\n
< VERSION\r\n
> verbosity noreply\r\nversion\r\n
< VERSION\r\n
> verbosity 0 1 2\r\n
< ERROR\r\n
> verbosity 0 1\r\n
< OK\r\n
> verbosity -1\r\nversion\r\n
< CLIENT_ERROR bad command line format\r\nVERSION\r\n
> verbosity x noreply\r\nversion\r\n
< VERSION\r\n
> verbosity 0 1 noreply\r\nversion\r\n
< ERROR\r\nVERSION\r\n
> version\r\n
< VERSION\r\n
> version 1\r\n
< VERSION\r\n
> version noreply\r\n
< VERSION\r\n
> quit\r\n
<
> quit 1\r\n
<
> quit noreply\r\n
<
> QUIT\r\n
< ERROR\r\n
> Version\r\n
< ERROR\r\n
> g\r\n
< ERROR\r\n
> s\r\n
< ERROR\r\n
> mx\r\n
< ERROR\r\n
> GET / HTTP/1.0\r\n\r\n
<
> POST / HTTP/1.1\r\nX\r\n
<
> foo HTTP/1.1 x\r\n
< ERROR\r\n
> get HTTP/1.1\r\n
< END\r\n
> versionx\r\n
< ERROR\r\n
> getx a\r\n
< ERROR\r\n
> xget HTTP/\r\n
<
> HTTP/1.0\r\n
<
> set b 0 0 2000000\r\nabc
<
> append nope 0 0 1\r\nx\r\nprepend nope 0 0 1\r\nx\r\nreplace nope 0 0 1\r\nx\r\n
> set k 3 0 1\r\nx\r\nadd k 0 0 1\r\nx\r\nappend k 9 0 1\r\ny\r\nprepend k 9 -1 1\r\nw\r\n
> get k\r\nreplace k 4 0 1\r\nr\r\nget k\r\n
< NOT_STORED\r\nNOT_STORED\r\nNOT_STORED\r\nSTORED\r\nNOT_STORED\r\nSTORED\r\nSTORED\r\n
< VALUE k 3 3\r\nwxy\r\nEND\r\nSTORED\r\nVALUE k 4 1\r\nr\r\nEND\r\n
> append nope 0 0 2\r\nxxx\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\n
> set \x00 0 0 1\r\nx\r\nget a\x00b\r\nversion\r\n
< ERROR\r\nERROR\r\nEND\r\nVERSION\r\n
> version\x00foo\r\n
< VERSION\r\n
> set k\xff\x01 0 0 1\r\nx\r\nget k\xff\x01\r\n
< STORED\r\nVALUE k\xff\x01 0 1\r\nx\r\nEND\r\n
> get a a a a a a a a a a a a a a a a a a a a a a a a {251}\r\n
< CLIENT_ERROR bad command line format\r\n
> add a 0 -1 1\r\nx\r\nset a 0 -1 1\r\nx\r\nadd a 0 0 1\r\ny\r\nget a\r\n
< STORED\r\nSTORED\r\nSTORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n
> set a 0 0 1\r\nx\r\nreplace a 0 -1 1\r\ny\r\nget a\r\n
< STORED\r\nSTORED\r\nEND\r\n
> set a 0 0 1\r\nx\r\ncas a 0 0 1 999999\r\ny\r\nget a\r\n
< STORED\r\nEXISTS\r\nVALUE a 0 1\r\nx\r\nEND\r\n
> set a \t5 0 1\t\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 5 1\r\nx\r\nEND\r\n
> set a 5\tz 0 1\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 5 1\r\nx\r\nEND\r\n
> set a -18446744073709551615 0 1\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 1 1\r\nx\r\nEND\r\n
> set a 18446744073709551615 0 1\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 4294967295 1\r\nx\r\nEND\r\n
> set a 18446744073709551616 0 1\r\nx\r\nget a\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nEND\r\n
> set a 0 2147483648 1\r\nx\r\nget a\r\n
< STORED\r\nEND\r\n
> set a 0 4294967296 1\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n
> set a 0 9223372036854775808 1\r\nx\r\nget a\r\n
< CLIENT_ERROR bad command line format\r\nERROR\r\nEND\r\n
> set a 0 2592000 1\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n
> set a 0 2592001 1\r\nx\r\nget a\r\n
< STORED\r\nEND\r\n
> set a 0 0 1\r\nx\r\nset a 0 0 1\r\n\r\r\nget a\r\n
< STORED\r\nSTORED\r\nVALUE a 0 1\r\n\r\r\nEND\r\n
> set j 0 0 3\r\nabc\r\nincr j 1 \r\nset j 0 0 40\r\n
>                                        5\r\nincr j 1\r\nget j\r\n
< STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\nSTORED\r\n6\r\n
< VALUE j 0 40\r\n6                                       \r\nEND\r\n
> set a 0 0 1 noreply \r\nx\r\nget a\r\n
< VALUE a 0 1\r\nx\r\nEND\r\n
> set a  0 0  1\r\nx\r\n set b 0 0 1\r\ny\r\nget a b c\r\n
< STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nVALUE b 0 1\r\ny\r\nEND\r\n
> set a 0 0 2\r\nx\n\r\nget a\r\n
< STORED\r\nVALUE a 0 2\r\nx\n\r\nEND\r\n
> cas a 0 0 2 1\r\nxyz\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\n
> get f\r\nflush_all 0\r\n
< END\r\nOK\r\n
> set f 0 0 1\r\n1\r\nflush_all 2\r\nflush_all\r\nget f\r\nset f 0 0 1\r\n1\r\nget f\r\n
< STORED\r\nOK\r\nOK\r\nEND\r\nSTORED\r\nVALUE f 0 1\r\n1\r\nEND\r\n
> get f\r\n
< END\r\n
> set f 0 0 1\r\n1\r\nflush_all 2592001\r\nget f\r\n
< STORED\r\nOK\r\nVALUE f 0 1\r\n1\r\nEND\r\n
> set f 0 0 1\r\n1\r\nflush_all 9999999999\r\nget f\r\nflush_all 4294967295\r\nget f\r\n
> flush_all 4294967296\r\nget f\r\n
< STORED\r\nOK\r\nVALUE f 0 1\r\n1\r\nEND\r\nOK\r\nEND\r\nOK\r\nEND\r\n
> set f 0 1 1\r\n1\r\nget f\r\n
< STORED\r\nVALUE f 0 1\r\n1\r\nEND\r\n
> xx\x00HTTP/1\r\nget\r\n
< ERROR\r\nERROR\r\n
> x HTTP/1\r\n
< ERROR\r\n
> p HTTP/1\r\n
< ERROR\r\n
> px HTTP/1\r\n
<
> ax HTTP/1\r\n
< ERROR\r\n
> mx HTTP/1\r\n
< ERROR\r\n
> mxx HTTP/1\r\n
<
> get\x00a b\r\nget b\x00\r\nset\r\n
< ERROR\r\nEND\r\nERROR\r\n
> set a 0 0 1 \x00noreply\r\nx\r\n
< STORED\r\n
> \n\r\n\r\r\n
< ERROR\r\nERROR\r\nERROR\r\n
> g a\r\n
< ERROR\r\n
> incr k 1 noreply x\r\n
< ERROR\r\n
> verbosity 1 x noreply\r\n
< ERROR\r\n
> set a 5 0 1\r\nx\r\nget a\r\n
< STORED\r\nVALUE a 5 1\r\nx\r\nEND\r\n
> append nope 0 0 1\r\nx\r\nprepend nope 0 0 1\r\nx\r\nreplace nope 0 0 1\r\nx\r\n
< NOT_STORED\r\nNOT_STORED\r\nNOT_STORED\r\n
> add k 0 0 1\r\nx\r\nadd k 0 0 1\r\ny\r\nget k\r\n
< STORED\r\nNOT_STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n
> set k 3 0 1\r\nx\r\nappend k 9 -1 1\r\ny\r\nprepend k 9 x 1\r\nw\r\nprepend k 9 -1 1\r\n
> w\r\nget k\r\n
< STORED\r\nSTORED\r\nCLIENT_ERROR bad command line format\r\nERROR\r\nSTORED\r\n
< VALUE k 3 3\r\nwxy\r\nEND\r\n
> set {250} 0 0 1\r\nx\r\nget {250}\r\ndelete {250}\r\n
< STORED\r\nVALUE {250} 0 1\r\nx\r\nEND\r\nDELETED\r\n
> set a 0 0 1 noreply\r\nxy\r\nget a\r\n
< ERROR\r\nEND\r\n
> cas a 0 0 1 1\r\nxy\r\n
< CLIENT_ERROR bad data chunk\r\nERROR\r\n
> bget a\r\nbget\r\n
< END\r\nERROR\r\n
> set noreply 0 0 1\r\nx\r\nget noreply\r\n
< STORED\r\nVALUE noreply 0 1\r\nx\r\nEND\r\n
> version\x00x\r\nget\x00a\r\n
< VERSION\r\nERROR\r\n
"""


def _bytes(lines: list[str]) -> bytes:
    data = "".join(lines).encode().decode("unicode_escape").encode("latin-1")
    return re.sub(rb"{(\d+)}", lambda match: b"k" * int(match[1]), data)


def _parsed(text: str) -> list[tuple[bytes, bytes]]:
    found: list[tuple[list[str], list[str]]] = []
    for line in text.strip().splitlines():
        sent = line[:1] == ">"
        if sent and (not found or found[-1][1]):
            found.append(([], []))
        found[-1][not sent].append(line[2:])
    return [(_bytes(script), _bytes(reply)) for script, reply in found]


#: Scripts and their replies; versions are left out.
SCRIPTS = _parsed(_TEXT)

#: All keys that are in them.
KEYS = (b"a", b"b", b"c", b"f", b"j", b"k", b"n", b"x", b"z", b"nope", b"noreply", b"k" * 250)
