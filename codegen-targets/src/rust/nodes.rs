//! Builders of the syn nodes that the printer needs, by hand: quoting expressions would lose
//! parentheses. No knowledge of the kernel IR's structure.

use super::lexical::type_node;
use proc_macro2::{Ident, Span};
use syn::punctuated::Punctuated;
use syn::{Block, Expr, Stmt, token};
use tinycc_core::kir::Ty;

/// `left op right`.
#[must_use]
pub fn binary(op: syn::BinOp, left: Expr, right: Expr) -> Expr {
    Expr::Binary(syn::ExprBinary {
        attrs: Vec::new(),
        left: Box::new(left),
        op,
        right: Box::new(right),
    })
}

/// `e as ty`.
#[must_use]
pub fn as_type(e: Expr, ty: Ty) -> Expr {
    Expr::Cast(syn::ExprCast {
        attrs: Vec::new(),
        expr: Box::new(e),
        as_token: Default::default(),
        ty: Box::new(type_node(ty)),
    })
}

/// `f(args)`.
#[must_use]
pub fn call(f: Expr, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Call(syn::ExprCall {
        attrs: Vec::new(),
        func: Box::new(f),
        paren_token: token::Paren::default(),
        args: args.into_iter().collect(),
    })
}

/// `receiver.method(args)`.
#[must_use]
pub fn method_call(receiver: Expr, method: &str, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::MethodCall(syn::ExprMethodCall {
        attrs: Vec::new(),
        receiver: Box::new(receiver),
        dot_token: Default::default(),
        method: Ident::new(method, Span::call_site()),
        turbofish: None,
        paren_token: token::Paren::default(),
        args: args.into_iter().collect::<Punctuated<_, _>>(),
    })
}

/// `e;`
#[must_use]
pub fn expression(e: Expr) -> Stmt {
    Stmt::Expr(e, Some(Default::default()))
}

/// `let name: ty = value;`
#[must_use]
pub fn let_stmt(name: &Ident, ty: Option<Ty>, is_mutable: bool, value: Expr) -> Stmt {
    Stmt::Local(syn::Local {
        attrs: Vec::new(),
        let_token: Default::default(),
        modifiers: Default::default(),
        pat: pattern(name, ty, is_mutable),
        init: Some(syn::LocalInit {
            eq_token: Default::default(),
            expr: Box::new(value),
            diverge: None,
        }),
        semi_token: Default::default(),
    })
}

/// A name to bind, with its type where it has to stand.
#[must_use]
pub fn pattern(name: &Ident, ty: Option<Ty>, is_mutable: bool) -> syn::Pat {
    let ident = syn::Pat::Ident(syn::PatIdent {
        attrs: Vec::new(),
        by_ref: None,
        mutability: is_mutable.then(Default::default),
        ident: name.clone(),
        subpat: None,
    });
    let Some(ty) = ty else { return ident };
    syn::Pat::Type(syn::PatType {
        attrs: Vec::new(),
        pat: Box::new(ident),
        colon_token: Default::default(),
        ty: Box::new(type_node(ty)),
    })
}

/// `{ e }`.
#[must_use]
pub fn value_block(e: Expr) -> Block {
    Block { brace_token: token::Brace::default(), stmts: vec![Stmt::Expr(e, None)] }
}

/// `if cond { .. } else { .. }`.
#[must_use]
pub fn if_node(cond: Expr, then_branch: Block, otherwise: Option<Block>) -> Expr {
    let else_branch = otherwise.map(|block| {
        let block = Expr::Block(syn::ExprBlock { attrs: Vec::new(), label: None, block });
        (Default::default(), Box::new(block))
    });
    Expr::If(syn::ExprIf {
        attrs: Vec::new(),
        if_token: Default::default(),
        cond: Box::new(cond),
        then_branch,
        else_branch,
    })
}
