// SPDX-License-Identifier: MIT
// The policy language a second time, from OPERATING's table and not from common/pcs/policy/parse.y: test_grammars.py
// holds both against one corpus and its mutations.
grammar Policy;

policy : 'policy' TEXT statement* EOF ;

statement
    : setting                                # inForce
    | 'keep' NUMBER UNIT                     # keep
    | 'for' 'shard' TEXT '{' setting* '}'    # shard
    ;

setting
    : 'tolerance' bounded=('D_hat' | 'coh_star' | 'budget') NUMBER                       # tolerance
    | 'median' which=('mean' | 'upper')                                                  # median
    | 'regime' 'sticky' 'when' 'coh_star' '>=' NUMBER 'and' 'D_hat' '<=' NUMBER          # sticky
    | 'regime' 'non_sticky' 'when' 'D_hat' '>=' NUMBER                                   # nonSticky
    | 'regime' 'mixed' 'otherwise'                                                       # mixed
    | 'budget' '=' weight ('+' weight)*                                                  # budget
    | 'escalate' TEXT 'when' alternative ('or' alternative)*                             # escalate
    ;

weight
    : NUMBER '*' '(' one=NUMBER '-' 'r' ')'                                # alpha
    | NUMBER '*' 'max' '(' zero=NUMBER ',' 'D_hat' '-' d0=NUMBER ')'       # beta
    | NUMBER '*' 'coh_star'                                                # gamma
    | NUMBER                                                               # base
    ;

alternative : condition ('and' condition)* ;

condition
    : signal compare=('<' | '<=' | '>' | '>=' | '==') minus='-'? NUMBER    # comparison
    | no='not'? 'degraded'                                                 # degraded
    ;

signal : 'D_hat' | 'coh_star' | 'r' | 'budget' | 'residual_spread' | 'scale_count' ;

UNIT    : 'seconds' | 'minutes' | 'hours' | 'days' ;
NUMBER  : [0-9]+ ('.' [0-9]+)? ;
TEXT    : '"' [A-Za-z0-9._:*-]* '"' ;
WORD    : [A-Za-z_] [A-Za-z0-9_]* ; // of no use: what begins like a word of the language and goes on is none
SPACE   : [ \t\r\n]+ -> skip ;
COMMENT : '#' ~[\n]* -> skip ;
STRANGE : . ;
